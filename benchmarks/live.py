"""A box is drawn, then moved, without a window: live answers when nothing has to be displayed.

    python benchmarks/live.py CASE

CASE is a folder with ``ct.nii.gz`` and ``labels.nii.gz``. A box is drawn round each of the first
labels in a second, as a hand does it, each on the label's largest slice. Printed: when its mask is
there after the release. Then a corner of the first box is moved 60 times a second for a
second, and let go. Printed: masks on the way, and when the right one is there after the release.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from hand import ways
from napari.components import ViewerModel
from napari.utils.interactions import (
    mouse_move_callbacks,
    mouse_press_callbacks,
    mouse_release_callbacks,
)
from qtpy.QtWidgets import QApplication

from napari_medsam_lite import read_volume
from napari_medsam_lite.gui.session.controller import SessionController
from napari_medsam_lite.gui.session.state import SessionState

STEPS, STEP_S, VOXELS, ROUNDS, ORGANS, MARGIN = 60, 1 / 60, 40.0, 3, 8, 2


def main(case: Path) -> None:
    application = QApplication([])
    truth = read_volume(case / "labels.nii.gz").data
    volume, viewer, state = read_volume(case / "ct.nii.gz"), ViewerModel(), SessionState()
    image = viewer.add_image(volume.data, scale=volume.spacing)
    session = SessionController(viewer, state)
    session.open()
    state.preset, state.autosave = "openvino", False

    def until(holds, seconds: float = 60.0) -> None:
        end = time.perf_counter() + seconds
        while not holds() and time.perf_counter() < end:
            application.processEvents()
            time.sleep(0.0005)

    session.run_actions.add_boxes()
    until(lambda: state.ahead == "The network is ready.")
    for number, label in enumerate(np.unique(truth[truth > 0])[:ORGANS]):
        if number:
            session.segments.begin()
        index = int(np.argmax((truth == label).sum(axis=(1, 2))))
        viewer.dims.set_current_step(0, index)
        until(lambda: False, 1.0)
        state.tell("")
        rows, columns = np.nonzero(truth[index] == label)
        first = np.array([index, rows.min() - MARGIN, columns.min() - MARGIN])
        last = np.array([index, rows.max() + MARGIN, columns.max() + MARGIN])
        released = draw(viewer, image, first, last, until)
        until(lambda: "score" in state.message or "Nothing" in state.message)
        print(
            f"drawn, {last[1] - first[1]} x {last[2] - first[2]} voxels: the mask "
            f"{1000 * (time.perf_counter() - released):.0f} ms after the release",
            flush=True,
        )
    shapes = session.layers.boxes_made(image)
    index = int(shapes.data[0][0, 0])
    viewer.dims.set_current_step(0, index)
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


def draw(viewer: ViewerModel, image: Any, first: Any, last: Any, until: Any) -> float:
    """Drag a box with napari's own tool, as a hand does; when it was let go."""
    event = SimpleNamespace(
        button=1,
        modifiers=(),
        is_dragging=True,
        handled=False,
        dims_displayed=[1, 2],
        view_direction=None,
    )

    def act(callbacks: Any, kind: str, at: Any) -> None:
        event.type, event.position = kind, image.data_to_world(at)
        for each in (viewer, viewer.layers.selection.active):
            callbacks(each, event)

    act(mouse_press_callbacks, "mouse_press", first)
    for way in ways(STEPS):
        act(mouse_move_callbacks, "mouse_move", first + (last - first) * way)
        until(lambda: False, STEP_S)
    released = time.perf_counter()
    act(mouse_release_callbacks, "mouse_release", last)
    return released


if __name__ == "__main__":
    main(Path(sys.argv[1]))
