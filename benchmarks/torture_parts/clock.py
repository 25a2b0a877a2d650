"""The clock is set back and forward by hours while work goes on: no negative seconds, nothing lost.

Only what tells the time of day jumps (`time.time`, `datetime.now`), as when a person or a time
server sets it; what measures how long something takes does not.
"""

from __future__ import annotations

import datetime
import importlib
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from torture_parts.monkey import SCRIPT, own_folders, with_screen
from torture_parts.watch import Heartbeat, Nets

JUMPS_H = (0, -6, 30, -24, 9600, 0)
CLICKS, FEW_CLICKS = 12, 2
"""After each jump; and in short."""


class Clock:
    """Sets the time of day of the plugin in this process; made before the plugin is imported."""

    def __init__(self) -> None:
        import napari
        import nibabel
        import pandas
        import pydicom

        assert napari and nibabel and pandas and pydicom  # their C code knows the true class
        self.hours = 0
        true, clock = time.time, self

        class Jumping(datetime.datetime):
            __slots__ = ()

            @classmethod
            def now(cls, tz: Any = None) -> datetime.datetime:
                return super().now(tz) + datetime.timedelta(hours=clock.hours)

        time.time = lambda: true() + self.hours * 3600
        time.time_ns = lambda: int(time.time() * 1e9)
        true_class, datetime.datetime = datetime.datetime, Jumping
        try:
            importlib.import_module("napari_medsam_lite.gui.dock.segment")
        finally:
            datetime.datetime = true_class


def clock(short: bool) -> int:
    """Run this part again in a process with folders of its own; how many faults."""
    with tempfile.TemporaryDirectory(prefix="torture-", ignore_cleanup_errors=True) as name:
        command = with_screen([sys.executable, str(SCRIPT), "clock", "--inside", name])
        command += ["--short"] if short else []
        return subprocess.run(command, env=own_folders(Path(name)), check=False).returncode


def inside(short: bool) -> int:
    """Work through all jumps; how many faults."""
    from napari._qt.qt_event_loop import get_qapp

    get_qapp()
    set_clock, nets, heartbeat = Clock(), Nets(), Heartbeat()
    nets.spread()
    said, runs = _work(set_clock, nets, heartbeat, FEW_CLICKS if short else CLICKS)
    for text in said:
        if re.search(r"-\d+(\.\d+)? s\b", text):
            nets.add("clock", text)
    for run in runs:
        if run.seconds < 0:
            nets.add("clock", f"a run of {run.seconds} s")
    if len({run.started.replace(minute=0, second=0, microsecond=0) for run in runs}) < 3:
        nets.add("clock", "the clock did not jump")
    if len(runs) < len(JUMPS_H):
        nets.add("clock", f"of {len(JUMPS_H)} runs {len(runs)} are known")
    for problem in nets.problems:
        print(f"  {problem.kind}: {problem.text}\n{problem.detail}")
    print(
        f"clock: {len(JUMPS_H)} jumps by up to {max(JUMPS_H)} h, {len(runs)} runs, "
        f"{len(nets.problems)} faults"
    )
    return len(nets.problems)


def _work(set_clock: Clock, nets: Nets, heartbeat: Heartbeat, clicks: int) -> tuple[list[str], Any]:
    """What was told, and the runs that are known at the end."""
    from torture_parts.day import Clicker
    from torture_parts.network import use_fake_network
    from torture_parts.scenes import SCENES
    from torture_parts.stage import Stage

    use_fake_network()
    stage, said = Stage(heartbeat), []
    SCENES["ct"](stage.viewer, 1)
    stage.open_dock()
    stage.pump(0.3)
    stage.state.events.message.connect(said.append)
    clicker = Clicker(stage)
    for number, hours in enumerate(JUMPS_H):
        clicker.draw()
        stage.settle()
        stage.until(stage.part("segment_all").isEnabled)  # the dock shows a moment later that it is
        stage.press("segment_all")
        set_clock.hours = hours
        if not stage.settle():
            nets.add("clock", f"no end of a run after a jump to {hours} h")
        for more in range(clicks):
            clicker.click(100 * number + more)
    runs = stage.state.history
    stage.close()
    return said, runs
