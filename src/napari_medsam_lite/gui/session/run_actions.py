"""What a person asks of the network: boxes are begun, slices and volumes segmented."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari.layers import Image

from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.segmentation import Segmentation
from napari_medsam_lite.gui.session.desks import Desks
from napari_medsam_lite.gui.session.request import chosen_image, request_slice, request_volume
from napari_medsam_lite.gui.session.runs import Runs
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.gui.session.telling import Telling, shown
from napari_medsam_lite.gui.viewer.drawn_boxes import rectangle
from napari_medsam_lite.gui.viewer.geometry import Plane, leading_index, shown_axis, shown_plane


class RunActions:
    """Acts on the chosen image.

    Parameters
    ----------
    viewer : napari.Viewer or napari.components.ViewerModel
        Shows the slices.
    state, desks, runs, telling
        Of the session.
    """

    def __init__(
        self, viewer: Any, state: SessionState, desks: Desks, runs: Runs, telling: Telling
    ) -> None:
        self._viewer, self._state, self._desks, self._runs = viewer, state, desks, runs
        self.telling = telling

    @shown
    def add_boxes(self) -> None:
        """Make the image's layers (once), hand the user the rectangle tool, and read ahead.

        The layer for the labels is made here too: napari needs a quarter of a second to set one up,
        which would be seen as a stop in the middle of a run.
        """
        image = self._pressed()
        boxes, _ = self._desks.layers.both_made(image)
        segment = self._desks.chosen().begun()
        self._viewer.layers.selection.active = boxes
        boxes.mode = "add_rectangle"
        self._state.tell(f"Drag a rectangle around {segment.title} on the slice shown.")
        self._runs.prepare(shown_plane(image, self._viewer.dims).axis)

    def add_box(self, box: Box3D) -> None:
        """Draw `box` on its key slice, go there, and make its extent the range of slices.

        For scripts and demonstrations; the user draws with the mouse.

        Raises
        ------
        MedSAMLiteError
            If there is no image, or the viewer shows no slices of it.
        """
        image = chosen_image(self._state)
        axis = shown_axis(image, self._viewer.dims)
        first, last = box.extent(axis)
        index = box.key_slice(axis)
        leading = leading_index(image, self._viewer.dims)
        corners = rectangle(box.plane(axis), Plane(axis, index), image.ndim, leading)
        self._desks.layers.boxes_made(image).add_rectangles(corners)
        if image.ndim > 2:
            place = image.data_to_world(corners[0])[axis - 3]
            self._viewer.dims.set_point(self._viewer.dims.ndim - 3 + axis, place)
            self._desks.chosen().limit(self._state.segmentation.current, axis, first, last)

    @shown
    def segment_slice(self) -> None:
        """Segment all boxes on the slice shown."""
        self._pressed()
        desk, snapshot = self._desks.chosen(), self._runs.snapshot()
        self._runs.segment(request_slice(self._state, self._viewer.dims, desk, snapshot), desk)

    @shown
    def segment_volume(self) -> None:
        """Segment the current segment, or the selected boxes, through the volume."""
        self._segment_through(lambda found: frozenset({found.current}))

    @shown
    def segment_all(self) -> None:
        """Segment every segment that has boxes and is not locked through the volume."""
        self._segment_through(
            lambda found: frozenset(s.number for s in found.segments if not s.locked)
        )

    @shown
    def go_on(self) -> None:
        """Go on where the run that was cancelled last was stopped."""
        self._runs.go_on()

    @shown
    def measure_presets(self) -> None:
        """Time the presets on this computer, so that ``auto`` is the fastest that agrees."""
        self._runs.measure_presets()

    def _pressed(self) -> Image:
        """The chosen image, which can be segmented; its layers are looked for once a press."""
        image = chosen_image(self._state)
        self._runs.snapshot()
        self._desks.adopt(image)
        return image

    def _segment_through(self, choose: Callable[[Segmentation], frozenset[int]]) -> None:
        self._pressed()
        desk, snapshot = self._desks.chosen(), self._runs.snapshot()
        numbers = choose(desk.segmentation)
        asked = request_volume(self._state, self._viewer.dims, desk, snapshot, numbers)
        self._runs.segment(asked, desk)
