"""Pictures of the chosen image with its segments, drawn off the main thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.core.labelset import LabelClass
from napari_medsam_lite.core.settings import AUTO, Settings
from napari_medsam_lite.gui.session.desk import Desk
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.gui.thread.task import Ending, Task
from napari_medsam_lite.gui.viewer.drawn_boxes import key_boxes
from napari_medsam_lite.gui.viewer.geometry import (
    Snapshot,
    shown_plane,
    to_volume,
    volume_shape,
)
from napari_medsam_lite.io.runfile import RunRecord

What = Literal["slice", "key slices", "montage"]


@dataclass(frozen=True)
class Scene:
    """What is drawn, taken down when the button was pressed.

    Attributes
    ----------
    snapshot : Snapshot
        The image.
    labels : ndarray
        (Z, Y, X) whole numbers: a copy, for a person may paint on.
    settings : Settings
        Their axis and window count.
    index : int
        The slice that is shown.
    boxes : sequence of Box3D
        Each with its key slice.
    numbers : sequence of int
        The label of each box.
    classes : sequence of LabelClass
        Names and colours.
    """

    snapshot: Snapshot
    labels: NDArray[Any]
    settings: Settings
    index: int
    boxes: Sequence[Box3D]
    numbers: Sequence[int]
    classes: Sequence[LabelClass]


class Pictures:
    """Writes pictures of the chosen image.

    Parameters
    ----------
    viewer : napari.Viewer or napari.components.ViewerModel
        Shows the slice.
    state : SessionState
        Of the session.
    desk, snapshot, settings : callable
        Of the chosen image, as they are now.
    start : callable
        Starts the task.
    """

    def __init__(
        self,
        viewer: Any,
        state: SessionState,
        desk: Callable[[], Desk],
        snapshot: Callable[[], Snapshot],
        settings: Callable[[], Settings],
        start: Callable[[PictureTask], None],
    ) -> None:
        self._viewer, self._state, self._desk = viewer, state, desk
        self._snapshot, self._settings, self._start = snapshot, settings, start

    def save(self, path: str | Path, what: What, run: RunRecord | None = None) -> None:
        """Draw the slice shown, the key slices or a montage; with the boxes of `run`, or all.

        Raises
        ------
        MedSAMLiteError
            If there is no image, or no slice of it is shown, or a job is in flight.
        """
        desk, snapshot = self._desk(), self._snapshot()
        settings = self._settings() if run is None else run.settings
        index = shown_plane(desk.image, self._viewer.dims).index if run is None else 0
        boxes, numbers = (run.boxes, run.ids) if run is not None else _boxes_of(desk, settings.axis)
        shape = volume_shape(desk.image)
        if desk.masks is None:
            labels = np.zeros(shape, np.uint8)
        else:
            labels = desk.masks.volume(desk.leading).reshape(shape).copy()
        classes = [each.label_class for each in desk.segmentation.segments]
        scene = Scene(snapshot, labels, settings, index, boxes, numbers, classes)
        self._start(PictureTask(scene, Path(path), what, self._state))


class PictureTask(Task):
    """Draws and writes one picture."""

    def __init__(self, scene: Scene, path: Path, what: What, state: SessionState) -> None:
        self._scene, self._path, self._what, self._state = scene, path, what, state

    def work(self) -> Iterator[Any]:
        """Draw and write, all in one step."""
        from napari_medsam_lite.core.window import parse_window
        from napari_medsam_lite.io.montage import key_slices, save_montage
        from napari_medsam_lite.io.overlay import save_overlay

        scene, settings = self._scene, self._scene.settings
        volume = to_volume(scene.snapshot)
        window = None if settings.window == AUTO else settings.window
        how: dict[str, Any] = {
            "axis": settings.axis,
            "limits": parse_window(window, volume).fit(volume),
            "ids": scene.numbers,
            "classes": scene.classes,
        }
        if self._what == "slice":
            save_overlay(self._path, volume, scene.labels, scene.boxes, scene.index, **how)
        else:
            keys = key_slices(scene.boxes, settings.axis) if self._what == "key slices" else None
            if keys == []:
                raise MedSAMLiteError("There is no key slice: no box was drawn on these slices.")
            save_montage(self._path, volume, scene.labels, scene.boxes, keys, **how)
        yield from ()

    def on_ended(self, ending: Ending) -> None:
        """Tell what was saved."""
        self._state.busy = False
        if ending.how == "finished":
            self._state.tell(f"The picture was saved as {self._path.name}.")
        else:
            self._state.tell(ending.reason or "Cancelled.", problem=ending.how == "failed")


def _boxes_of(desk: Desk, axis: int) -> tuple[list[Box3D], list[int]]:
    """The boxes on slices across `axis`, and the label of each."""
    drawn = [] if desk.boxes is None else key_boxes(desk.boxes, desk.image)
    found = [each for each in drawn if each.axis == axis]
    return [each.box for each in found], [each.number for each in found]
