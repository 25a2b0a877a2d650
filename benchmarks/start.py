"""How soon the dock is open, and how long the first Add boxes of a process stops the window.

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/start.py [--wait 3]

Every figure is from one new process: run it several times. A 10 ms timer on the event loop of a
real napari window is the heartbeat; a gap is the time between two beats. Reading ahead is off, for
the load of the network is what gui_heartbeat.py measures.
"""

from __future__ import annotations

import argparse
import time
from itertools import pairwise

import napari
import numpy as np
import psutil
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QTimer
from qtpy.QtTest import QTest

BEAT_MS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wait", type=float, default=3, help="seconds before Add boxes is pressed")
    wait = parser.parse_args().wait
    viewer = napari.Viewer(show_welcome_screen=False)
    voxels = np.random.default_rng(0).integers(-1000, 1000, (64, 256, 256), np.int16)
    viewer.add_image(voxels, name="CT")
    QTest.qWait(1000)
    start = time.perf_counter()
    _, widget = viewer.window.add_plugin_dock_widget("napari-medsam-lite", "Segment")
    QTest.qWait(0)
    opened = time.perf_counter() - start
    since = time.time() - psutil.Process().create_time()
    widget.state.read_ahead = False

    beats: list[float] = []
    beat = QTimer()
    beat.timeout.connect(lambda: beats.append(time.perf_counter()))
    beat.start(BEAT_MS)
    QTest.qWait(round(1000 * wait))
    before = longest_gap_ms(beats)
    del beats[:-1]
    QTimer.singleShot(0, widget.session.run_actions.add_boxes)
    QTest.qWait(2000)
    print(f"the dock opened in {opened:.2f} s, {since:.1f} s after the start of the process")
    print(f"longest gap in the {wait:g} s after that: {before:.0f} ms")
    print(f"longest gap of the first Add boxes: {longest_gap_ms(beats):.0f} ms")
    viewer.close()


def longest_gap_ms(beats: list[float]) -> float:
    return 1000 * max(later - earlier for earlier, later in pairwise(beats))


if __name__ == "__main__":
    with notification_manager:
        main()
