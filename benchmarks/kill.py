"""Kill -9 at random moments of editing and saving: what is lost, and is what comes back right?

    QT_QPA_PLATFORM=offscreen python benchmarks/kill.py [--kills 100] [--seed 0] [--json]

A process opens an image, restores what is offered, and then draws, paints, segments (an engine that
takes boxes for masks), undoes, renames and saves, until it is killed; the next one goes on. Each
state that it was in is logged with its time: a checksum a slice, and one of segments and boxes. So
it is known of what comes back which state it is, and when the first change came that is missing.
Not for Windows: processes are forked, so that they start at once.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import statistics
import sys
import tempfile
import time
import traceback
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from killed import SHAPE, Worker
from napari.components import ViewerModel

from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.io.formats import read_labels

LONGEST_S = 4.0
KILLED_EARLY = 0.15
"""So many of the processes are killed before or while they restore, perhaps."""
MOST_LOST_S = 2.0


BEGUN = re.compile(rb'"restored"|"nothing"')


@dataclass
class Known:
    """What is known of the process that was killed last, and whose work is not compared yet."""

    states: list[tuple[float, Any]] = field(default_factory=list)
    saved: int | None = None
    killed: float = 0.0
    labels: Any = None


@dataclass
class Report:
    kills: int = 0
    restores: int = 0
    crashes: int = 0
    wrong: int = 0
    mixed: int = 0
    files_seen: int = 0
    files_damaged: int = 0
    lost_s: list[float] = field(default_factory=list)
    voxels: list[int] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        lost = self.lost_s or [0.0]
        counts = {name: value for name, value in vars(self).items() if isinstance(value, int)}
        return counts | {
            "kills_with_a_loss": sum(each > 0 for each in lost),
            "lost_s_max": round(max(lost), 2),
            "lost_s_median": round(statistics.median(lost), 2),
            "voxels_lost_max": max(self.voxels, default=0),
            "voxels_lost_median": statistics.median(self.voxels or [0]),
            "fine": not (self.crashes or self.wrong or self.files_damaged)
            and max(lost) <= MOST_LOST_S,
        }

    def compare(self, known: Known, line: dict[str, Any], labels: Any) -> None:
        """What came back, with what there was when the process was killed."""
        self.restores += line["what"] == "restored"
        states, now = [state for _, state in known.states], line["state"]
        if line["what"] == "nothing":
            at = -1 if known.saved is None else known.saved
        elif now in states:
            at = len(states) - 1 - states[::-1].index(now)
        elif all(n in {s[0][z] for s in states} for z, n in enumerate(now[0])):
            # Slices of several moments: more was changed at once than is copied in one go.
            self.mixed += 1
            return
        else:
            self.wrong += 1
            return
        lost = [t for t, state in known.states[at + 1 :] if at >= 0 or state != states[0]]
        self.lost_s.append(known.killed - lost[0] if lost else 0.0)
        if line["what"] == "restored" and known.labels is not None:
            self.voxels.append(int(np.count_nonzero(known.labels != labels)))


def warm_up() -> None:
    """Have napari load what it loads late, once for all processes."""
    viewer = ViewerModel()
    viewer.add_image(np.zeros((2, 4, 4)))
    viewer.add_labels(np.zeros((2, 4, 4), np.uint8)).paint((1, 1, 1), 1)
    viewer.add_shapes(ndim=3).add_rectangles([[0, 0, 0], [0, 0, 2], [0, 2, 2], [0, 2, 0]])


def run(folder: Path, kills: int, seed: int) -> Report:
    report, chance, known = Report(), random.Random(seed), Known()
    seen: set[str] = set()
    for number in range(kills + 1):
        pid = os.fork()
        if pid == 0:
            be_killed(folder, number, chance.randrange(2**32))
        chance.randrange(2**32)
        log = folder / f"{number}.log"
        if number == kills or chance.random() > KILLED_EARLY:
            wait_for(log)
        time.sleep(chance.uniform(0, LONGEST_S))
        killed = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        report.kills += 1
        if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
            report.crashes += 1
        lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        begun = next((n for n, each in enumerate(lines) if each["what"] != "state"), None)
        if begun is not None:
            if known.states:
                report.compare(known, lines[begun], np.load(folder / "begin.npy"))
            known = _known(lines[begun:], killed, folder / f"{number}.labels")
        seen |= {json.dumps(each["state"][0]) for each in lines}
        check_file(report, folder / "labels.nii.gz", seen)
    return report


def wait_for(log: Path) -> None:
    """Until the process has begun to work."""
    end = time.monotonic() + 60
    while not (log.exists() and BEGUN.search(log.read_bytes())):
        if time.monotonic() > end:
            raise TimeoutError("a process does not begin")
        time.sleep(0.01)


def be_killed(folder: Path, number: int, seed: int) -> None:
    try:
        worker = Worker(folder, number, seed)
        worker.begin()
        worker.work()
    except BaseException:
        traceback.print_exc()
    os._exit(1)


def _known(lines: list[dict[str, Any]], killed: float, labels: Path) -> Known:
    states = [(each["at"], each["state"]) for each in lines]
    saved = [n for n, each in enumerate(lines) if each["what"] == "saved"]
    shown = np.memmap(labels, np.uint16, "r", shape=SHAPE)
    return Known(states, saved[-1] if saved else None, killed, np.array(shown))


def check_file(report: Report, file: Path, seen: set[str]) -> None:
    """The file is an old one or a new one, whole."""
    if not file.exists():
        return
    report.files_seen += 1
    try:
        labels = read_labels(file)
    except MedSAMLiteError as error:
        print(error, file=sys.stderr)
        report.files_damaged += 1
        return
    if json.dumps([zlib.crc32(plane.astype(np.uint8)) for plane in labels]) not in seen:
        report.wrong += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    warm_up()
    with tempfile.TemporaryDirectory() as folder:
        platformdirs.user_state_dir = lambda *_, **__: str(Path(folder, "state"))
        report = run(Path(folder), args.kills, args.seed).summary()
    print(json.dumps(report) if args.json else "\n".join(f"{k:16} {v}" for k, v in report.items()))
    sys.exit(0 if report["fine"] else 1)


if __name__ == "__main__":
    main()
