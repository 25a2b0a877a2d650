"""What autosave costs the event loop, and the disk, on a volume of 300 x 512 x 512.

    QT_QPA_PLATFORM=offscreen python benchmarks/autosave.py [--strokes 500] [--json]

The labels hold three bodies. First all of it is due, at the first stroke; then a stroke comes every
20 ms; then all slices are changed at once, as by an undo. With autosave and without, the longest
gap between two beats of a 5 ms timer is told, and what autosave itself took in one go.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
import platformdirs
from napari.components import ViewerModel
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from napari_medsam_lite.gui.session.controller import SessionController
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.io.autosaved import JOURNAL

SHAPE = (300, 512, 512)
PAUSE_S = 0.02


class Beats:
    """Gaps between the beats of a timer."""

    def __init__(self) -> None:
        self.gaps: list[float] = []
        self._last = time.perf_counter()
        self._timer = QTimer()
        self._timer.timeout.connect(self._beat)
        self._timer.start(5)

    def _beat(self) -> None:
        now = time.perf_counter()
        self.gaps.append(now - self._last)
        self._last = now


class Session:
    def __init__(self, is_on: bool, strokes: int) -> None:
        self.app = QApplication.instance() or QApplication([])
        self.viewer, self.strokes = ViewerModel(), strokes
        image = self.viewer.add_image(np.zeros(SHAPE, np.int16), name="CT")
        state = SessionState(live=False, read_ahead=False, autosave=is_on)
        self.session = SessionController(self.viewer, state)
        self.took: list[float] = []
        look = self.session.autosave._look_after

        def timed() -> bool:
            began = time.perf_counter()
            soon = look()
            self.took.append(time.perf_counter() - began)
            return soon

        self.session.autosave._look_after = timed
        self.session.open()
        self.session.run_actions.add_boxes()
        self.layer = self.session.layers.labels(image)
        _draw_bodies(self.layer.data)
        self.wait(1.5)

    def wait(self, seconds: float) -> None:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            self.app.processEvents()
            time.sleep(0.001)

    def stroke(self, chance: random.Random) -> None:
        self.layer.brush_size = 20
        place = [chance.randrange(100, 200), chance.randrange(512), chance.randrange(512)]
        self.layer.paint(place, chance.choice([0, 1, 2, 3]), refresh=False)

    def measure(self) -> dict[str, Any]:
        chance = random.Random(0)
        self.stroke(chance)
        report = {"first": self.phase(lambda: self.wait(3))}
        report["strokes"] = self.phase(lambda: self.paint(chance))
        report["all_at_once"] = self.phase(self.change_all)
        self.session.close()
        return report

    def paint(self, chance: random.Random) -> None:
        for _ in range(self.strokes):
            self.stroke(chance)
            self.wait(PAUSE_S)
        self.wait(1)

    def change_all(self) -> None:
        masks = self.session.desks.chosen().masks
        masks.layer.data[:, 0, 0] = 1
        masks.note((), range(SHAPE[0]))
        self.wait(3)

    def phase(self, act: Any) -> dict[str, float]:
        self.took.clear()
        beats = Beats()
        act()
        return {
            "longest_gap_ms": round(1e3 * max(beats.gaps), 1),
            "gap_ms_99": round(1e3 * statistics.quantiles(beats.gaps, n=100)[-1], 1),
            "longest_in_autosave_ms": round(1e3 * max(self.took, default=0), 1),
            "share_of_time": round(sum(self.took) / sum(beats.gaps), 4),
        }


def _draw_bodies(labels: Any) -> None:
    z, y, x = np.ogrid[tuple(slice(n) for n in SHAPE)]
    for number, (cy, cx, radius) in enumerate([(200, 200, 120), (330, 330, 90), (150, 400, 60)], 1):
        labels[(y - cy) ** 2 + (x - cx) ** 2 + 0 * z < radius**2] = number


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--strokes", type=int, default=500)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    report: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        platformdirs.user_state_dir = lambda *_, **__: folder
        for name in ("off", "on"):
            report[name] = Session(name == "on", args.strokes).measure()
        time.sleep(1)
        report["journal_kib"] = [
            round(file.stat().st_size / 1024) for file in Path(folder).glob(f"*/*/*/{JOURNAL}")
        ]
    print(json.dumps(report, indent=None if args.json else 1))


if __name__ == "__main__":
    main()
