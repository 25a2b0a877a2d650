"""How quick the window stays while a volume is segmented, and what the window costs the network.

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/gui_heartbeat.py [--slices 6]

A 10 ms timer on the event loop of a real napari window is the heartbeat; a gap is the time between
two beats. The first run has the import of torch and the load of the network in it; the others are
taken in turns with the same call in a process without a window, so that other load on the machine
meets both. Every run encodes its slices anew. The network's seconds are from ready to last mask.
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

from napari_medsam_lite.acceleration.torch.preload import preload_torch

BEAT_MS = 10
WINDOW = "abdomen"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=6, help="slices of each run")
    parser.add_argument("--pairs", type=int, default=3, help="runs after the first")
    parser.add_argument("--preset", default="sdpa")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--step", action="store_true", help="step through slices at 5 Hz meanwhile")
    parser.add_argument("--nice", type=int, help="priority of the worker thread, 0 to 19")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.alone:
        serve_alone(args)
        return
    report = measure(args)
    print(json.dumps(report) if args.json else table(report))


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """All runs: first the one that loads torch, then in turns without and with the window."""
    load = os.getloadavg()[0]
    command = [sys.executable, *sys.argv, "--alone"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:

        def alone() -> float:
            other.stdin.write("go\n")
            other.stdin.flush()
            return float(other.stdout.readline())

        alone()
        watched = Watched(args)
        first, _ = watched.run()
        gaps, pairs = [], []
        for _ in range(args.pairs):
            without = alone()
            more, within = watched.run()
            gaps += more
            pairs.append((without, within))
        in_use = watched.widget.state.in_use
        watched.viewer.close()
        other.stdin.close()
    return {
        "args": vars(args),
        "in_use": in_use,
        "load_average": load,
        "first": summary(first),
        "warm": summary(gaps),
        "network_s": pairs,
        "ratio": float(np.median([within / without for without, within in pairs])),
    }


def sample_box(slices: int) -> tuple[Any, Any]:
    """The phantom, and its liver box cut to so many slices around its key slice."""
    from napari_medsam_lite.sample.ct import ct_phantom

    sample = ct_phantom()
    box = sample.boxes[0]
    first = box.key - slices // 2
    return sample.volume, replace(box, z0=first, z1=first + slices - 1)


def forgetful_segmenter() -> Any:
    """The engine with a stopwatch, and without room to keep embeddings."""
    preload_torch()
    from napari_medsam_lite.engine.cache import EmbeddingCache
    from napari_medsam_lite.engine.segmenter import Segmenter

    class Timed(Segmenter):
        seconds = 0.0

        def propagate(self, *args: Any, **options: Any) -> Iterator[Any]:
            start = time.perf_counter()
            yield from super().propagate(*args, **options)
            self.seconds = time.perf_counter() - start

    return Timed(cache=EmbeddingCache(max_bytes=1))


def serve_alone(args: argparse.Namespace) -> None:
    """The same call without a window, once for each line on standard input."""
    from napari_medsam_lite.engine.prepared import prepare_volume

    volume, box = sample_box(args.slices)
    segmenter = forgetful_segmenter()
    segmenter.use(args.preset, args.device)
    prepared = prepare_volume(volume, WINDOW)
    for _ in sys.stdin:
        segmenter.load()
        masks = sum(1 for _ in segmenter.propagate(prepared, [box]))
        assert masks == args.slices, masks
        print(segmenter.seconds, flush=True)


class Watched:
    """A real napari window with the dock widget and a heartbeat."""

    def __init__(self, args: argparse.Namespace) -> None:
        import napari
        from qtpy.QtCore import QEventLoop, QTimer
        from qtpy.QtTest import QTest

        from napari_medsam_lite.gui.dock.segment import MedSAMLiteWidget
        from napari_medsam_lite.gui.session.engine import SessionEngine
        from napari_medsam_lite.gui.thread import worker

        if args.nice is not None:
            worker.NICENESS = args.nice
        volume, box = sample_box(args.slices)
        self.viewer = napari.Viewer(show_welcome_screen=False)
        self.viewer.add_image(volume.data, scale=volume.spacing, contrast_limits=(-160, 240))
        self.segmenter = forgetful_segmenter()
        self.widget = MedSAMLiteWidget(self.viewer, SessionEngine(lambda: self.segmenter))
        self.viewer.window.add_dock_widget(self.widget, name="Segment")
        state = self.widget.state
        state.read_ahead = False  # the first run is to load the network
        self.widget.session.run_actions.add_boxes()
        self.widget.session.run_actions.add_box(box)
        state.preset, state.device, state.window = args.preset, args.device, WINDOW
        self.beats: list[float] = []
        self.loop, self.beat, self.stepper = QEventLoop(), QTimer(), QTimer()
        state.events.busy.connect(lambda busy: None if busy else self.loop.quit())
        self.beat.timeout.connect(lambda: self.beats.append(time.perf_counter()))
        self.stepper.timeout.connect(self.step)
        self.stepping = args.step
        QTest.qWait(1500)

    def run(self) -> tuple[list[float], float]:
        """Segment once; the gaps in ms and the network's seconds."""
        self.beats.clear()
        self.beat.start(BEAT_MS)
        if self.stepping:
            self.stepper.start(200)
        self.widget.session.run_actions.segment_volume()
        self.loop.exec()
        self.stepper.stop()
        self.beat.stop()
        assert not self.widget.state.is_problem, self.widget.state.message
        return [(b - a) * 1e3 for a, b in pairwise(self.beats)], self.segmenter.seconds

    def step(self) -> None:
        """What a user does who looks at other slices meanwhile."""
        dims = self.viewer.dims
        dims.set_current_step(0, (dims.current_step[0] + 1) % dims.nsteps[0])


def summary(gaps: list[float]) -> dict[str, float]:
    return {
        "median_ms": float(np.median(gaps)),
        "p99_ms": float(np.percentile(gaps, 99)),
        "worst_ms": max(gaps),
        "over_150_ms": sum(gap > 150 for gap in gaps),
        "beats": len(gaps),
    }


def table(report: dict[str, Any]) -> str:
    lines = [report["in_use"], "runs    median ms  p99 ms  worst ms  over 150 ms   beats"]
    for name in ("first", "warm"):
        row = report[name]
        lines.append(
            f"{name:6s} {row['median_ms']:10.1f} {row['p99_ms']:7.1f} {row['worst_ms']:9.1f} "
            f"{row['over_150_ms']:12d} {row['beats']:7d}"
        )
    pairs = "; ".join(f"{without:.2f}, {within:.2f}" for without, within in report["network_s"])
    lines.append(f"network s without and with the window: {pairs}; ratio {report['ratio']:.2f}")
    lines.append(f"load average at the start: {report['load_average']:.1f}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
