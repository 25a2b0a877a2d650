"""A box is moved without a window: what live answers take when nothing has to be drawn.

    python benchmarks/live.py CASE

CASE is a folder with ``ct.nii.gz`` and ``labels.nii.gz``. A corner of a box round the first label
is moved 60 times a second for a second, and let go. Printed: masks on the way, and when the right
one is there after the release.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from napari.components import ViewerModel
from qtpy.QtWidgets import QApplication

from napari_medsam_lite import read_volume
from napari_medsam_lite.gui.session.controller import SessionController
from napari_medsam_lite.gui.session.state import SessionState

STEPS, STEP_S, VOXELS, ROUNDS = 60, 1 / 60, 40.0, 3


def main(case: Path) -> None:
    application = QApplication([])
    truth = read_volume(case / "labels.nii.gz").data
    volume, viewer, state = read_volume(case / "ct.nii.gz"), ViewerModel(), SessionState()
    image = viewer.add_image(volume.data, scale=volume.spacing)
    session = SessionController(viewer, state)
    session.open()
    state.preset, state.autosave = "openvino", False
    index = int(np.argmax((truth == 1).sum(axis=(1, 2))))
    viewer.dims.set_current_step(0, index)
    rows, columns = np.nonzero(truth[index] == 1)
    low, high = (rows.min() - 2, columns.min() - 2), (rows.max() + 2, columns.max() + 2)
    corners = np.array([[index, y, x] for y in (low[0], high[0]) for x in (low[1], high[1])], float)
    shapes = session.layers.boxes_made(image)
    shapes.add_rectangles(corners[[0, 1, 3, 2]])

    def until(holds, seconds: float = 60.0) -> None:
        end = time.perf_counter() + seconds
        while not holds() and time.perf_counter() < end:
            application.processEvents()
            time.sleep(0.0005)

    until(lambda: "score" in state.message)
    desk = session.desks.chosen()
    for number in range(ROUNDS):
        until(lambda: False, 1.0)
        event = SimpleNamespace(type="mouse_press", modifiers=(), button=1)
        pressed = [each(viewer, event) for each in viewer.mouse_drag_callbacks]
        for each in pressed:
            next(each, None)
        masks, shown, began = 0, None, time.perf_counter()
        start = np.array(shapes.data[0])
        for step in range(STEPS):
            moved = start.copy()
            moved[moved == start.max(axis=0)] += (
                VOXELS * (step + 1) / STEPS * (1 - 2 * (number % 2))
            )
            moved[:, 0] = index
            shapes._data_view.edit(0, moved)
            at = time.perf_counter()
            desk._follow_move()
            until(lambda at=at: time.perf_counter() > at + STEP_S, 1.0)
            now = desk.labels.data[index].tobytes()
            masks += shown is not None and now != shown
            shown = now
        event.type = "mouse_release"
        for each in pressed:
            next(each, None)
        released = time.perf_counter()
        shapes.events.data(value=shapes.data, action="changed")
        until(lambda: not session.runs.live.waits and not session.runs.live._wanted)
        print(
            f"{STEPS} moves in {released - began:.2f} s: {masks} masks on the way, the right one "
            f"{1000 * (time.perf_counter() - released):.0f} ms after the release",
            flush=True,
        )
    session.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
