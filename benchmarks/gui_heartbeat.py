"""How quick the window stays while a volume is segmented, and what the window costs the network.

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/gui_heartbeat.py [--slices 12]

A 10 ms timer on the event loop of a real napari window is the heartbeat; a gap is the time between
two beats. Two runs are watched: the first, with the import of torch and the load of the network,
and a warm one whose slices are all encoded anew. The network's seconds (first to last mask) are
compared with the same call in a process without a window.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

WINDOWS = ("abdomen", "soft tissue")  # another window is another set of embeddings
BEAT_MS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=12, help="slices of each run")
    parser.add_argument("--preset", default="sdpa")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--step", action="store_true", help="step through slices at 5 Hz meanwhile")
    parser.add_argument("--nice", type=int, help="priority of the worker thread, 0 to 19")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.alone:
        print(alone(args))
        return
    before = run_alone()
    report = watched(args)
    report["alone_s"] = [before, run_alone()]
    report["ratio"] = report["warm"]["network_s"] / np.mean(report["alone_s"])
    print(json.dumps(report) if args.json else table(report))


def sample_box(slices: int) -> tuple[Any, Any]:
    """The phantom, and its liver box cut to so many slices around its key slice."""
    from napari_medsam_lite.io.sample import ct_phantom

    sample = ct_phantom()
    box = sample.boxes[0]
    first = box.key - slices // 2
    return sample.volume, replace(box, z0=first, z1=first + slices - 1)


def alone(args: argparse.Namespace) -> float:
    """Seconds of the second run without a window, when torch has warmed up."""
    from napari_medsam_lite.engine.predictor import VolumePredictor

    volume, box = sample_box(args.slices)
    predictor = VolumePredictor(args.preset, args.device)
    for window in WINDOWS:
        predictor.load()
        predictor.set_volume(volume, window)
        start = time.perf_counter()
        masks = sum(1 for _ in predictor.propagate_in_volume([box], propagation="guided"))
        seconds = time.perf_counter() - start
    assert masks == args.slices, masks
    return seconds


def run_alone() -> float:
    command = [sys.executable, *sys.argv, "--alone"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def watched(args: argparse.Namespace) -> dict[str, Any]:
    """Both runs in a real window."""
    import napari
    from qtpy.QtCore import QEventLoop, QTimer
    from qtpy.QtTest import QTest

    from napari_medsam_lite.gui import jobs
    from napari_medsam_lite.gui.widget import MedSAMLiteWidget
    from napari_medsam_lite.gui.work import Ready, Request, Work

    if args.nice is not None:
        jobs.NICENESS = args.nice

    class Timed(Work):
        seconds = 0.0

        def run(self, request: Request) -> Iterator[Any]:
            start = 0.0
            for event in super().run(request):
                start = time.perf_counter() if isinstance(event, Ready) else start
                yield event
            self.seconds = time.perf_counter() - start

    volume, box = sample_box(args.slices)
    viewer = napari.Viewer(show_welcome_screen=False)
    viewer.add_image(volume.data, scale=volume.spacing, contrast_limits=(-160, 240))
    work = Timed()
    widget = MedSAMLiteWidget(viewer, work)
    viewer.window.add_dock_widget(widget, name="Segment")
    widget.session.add_boxes()
    widget.session.add_box(box)
    widget.state.preset, widget.state.device = args.preset, args.device
    QTest.qWait(1500)

    loop = QEventLoop()
    widget.session.runner.ended.connect(lambda _: loop.quit())
    beats: list[float] = []
    beat, stepper = QTimer(), QTimer()
    beat.timeout.connect(lambda: beats.append(time.perf_counter()))
    stepper.timeout.connect(lambda: step(viewer))
    report: dict[str, Any] = {"args": vars(args), "load_average": os.getloadavg()[0]}
    for name, window in zip(("first", "warm"), WINDOWS, strict=True):
        widget.state.window = window
        beats.clear()
        beat.start(BEAT_MS)
        if args.step:
            stepper.start(200)
        widget.session.segment_volume()
        loop.exec()
        stepper.stop()
        beat.stop()
        assert not widget.state.is_problem, widget.state.message
        gaps = np.array([b - a for a, b in pairwise(beats)]) * 1e3
        report[name] = {
            "median_ms": float(np.median(gaps)),
            "p99_ms": float(np.percentile(gaps, 99)),
            "worst_ms": float(gaps.max()),
            "worst_at_s": float(beats[int(gaps.argmax())] - beats[0]),
            "over_150_ms": int((gaps > 150).sum()),
            "run_s": beats[-1] - beats[0],
            "network_s": work.seconds,
        }
    report["in_use"] = widget.state.in_use
    viewer.close()
    return report


def step(viewer: Any) -> None:
    """What a user does who looks at other slices meanwhile."""
    viewer.dims.set_current_step(0, (viewer.dims.current_step[0] + 1) % 64)


def table(report: dict[str, Any]) -> str:
    lines = [report["in_use"], "run    median    p99  worst (at s)  over 150 ms  run s  network s"]
    for name in ("first", "warm"):
        row = report[name]
        lines.append(
            f"{name:6s} {row['median_ms']:6.1f} {row['p99_ms']:6.1f} {row['worst_ms']:6.1f} "
            f"({row['worst_at_s']:4.1f}) {row['over_150_ms']:10d} {row['run_s']:8.1f} "
            f"{row['network_s']:8.2f}"
        )
    alone_s = ", ".join(f"{seconds:.2f}" for seconds in report["alone_s"])
    lines.append(f"without a window: {alone_s} s; ratio {report['ratio']:.2f}")
    lines.append(f"load average at the start: {report['load_average']:.1f}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
