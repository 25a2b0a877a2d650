"""What a person does to segments themselves: begin, name, colour, lock, show, move, delete."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from napari_medsam_lite.core.asked import Asked
from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.core.labelset import BUILT_IN, Color, LabelSet
from napari_medsam_lite.core.segmentation import Segment
from napari_medsam_lite.core.settings import Settings
from napari_medsam_lite.gui.session.desk import Desk
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.gui.session.writing import MaskWriter
from napari_medsam_lite.gui.thread.runner import IN_PROGRESS
from napari_medsam_lite.gui.viewer.box_layer import move_boxes, selected_rows
from napari_medsam_lite.gui.viewer.geometry import shown_plane, slice_count


class SegmentActions:
    """Changes of the segments of the chosen image; all but eye, lock and choice can be undone.

    Parameters
    ----------
    viewer : napari.Viewer or napari.components.ViewerModel
        Shows the slice, and has the mouse.
    state : SessionState
        Of the session.
    desk : callable
        The desk of the chosen image.

    Attributes
    ----------
    label_set : LabelSet
        Where names, colours and codes come from.
    """

    def __init__(self, viewer: Any, state: SessionState, desk: Callable[[], Desk]) -> None:
        self._viewer, self._state, self._desk = viewer, state, desk
        self.label_set: LabelSet = BUILT_IN["TotalSegmentator"]

    def begin(self, name: str = "") -> int:
        """Begin the next segment, and return its number."""
        desk = self._desk()
        after = desk.segmentation.begin(desk.highest)
        desk.change(after, "the new segment")
        if name:
            self.rename(after.current, name)
        self._state.tell(f"Segment {after.current} begins with the next box.")
        return after.current

    def choose(self, number: int) -> None:
        """Let new boxes belong to the segment of that number, if there is one."""
        desk = self._desk()
        if number != desk.segmentation.current and desk.segmentation.get(number) is not None:
            desk.show(replace(desk.segmentation, current=number))

    def step(self, by: int) -> None:
        """Choose the next segment of the table, or with -1 the one before."""
        found = self._desk().segmentation
        numbers = [each.number for each in found.segments]
        if numbers:
            place = numbers.index(found.current) if found.current in numbers else 0
            self.choose(numbers[(place + by) % len(numbers)])

    def pick(self) -> None:
        """Choose the segment whose mask lies under the mouse.

        Raises
        ------
        MedSAMLiteError
            If there is none.
        """
        labels = self._desk().labels
        value = (
            None
            if labels is None
            else labels.get_value(
                self._viewer.cursor.position, view_direction=None, dims_displayed=None, world=True
            )
        )
        if not value or self._desk().segmentation.get(int(value)) is None:
            raise MedSAMLiteError("There is no segment under the pointer.")
        self.choose(int(value))

    def rename(self, number: int, name: str) -> None:
        """Name a segment; a name of the label set brings its colour and its code."""
        segment = self._segment(number)
        name = " ".join(name.split())
        known = self.label_set.named(name)
        if known is None:
            self._change(replace(segment, name=name, code=None), "the name")
        else:
            named = replace(segment, name=known.name, color=known.color, code=known.code)
            self._change(named, "the name")

    def recolor(self, number: int, color: Color) -> None:
        """Give a segment another colour."""
        self._change(replace(self._segment(number), color=color), "the colour")

    def lock(self, number: int, locked: bool) -> None:
        """Let nothing change a segment's voxels, or let it again."""
        desk = self._desk()
        desk.show(desk.segmentation.put(replace(self._segment(number), locked=locked)))

    def reveal(self, number: int, visible: bool) -> None:
        """Show a segment's mask and boxes, or hide them."""
        desk = self._desk()
        desk.show(desk.segmentation.put(replace(self._segment(number), visible=visible)))

    def limit(self, number: int, axis: int, first: int, last: int) -> None:
        """See `Desk.limit`."""
        self._desk().limit(number, axis, first, last)

    def limit_here(self, end: int) -> None:
        """Make the slice shown the first (0) or the last (1) of the current segment.

        Raises
        ------
        MedSAMLiteError
            If there is no segment, or the viewer shows no slice.
        """
        desk = self._desk()
        plane = shown_plane(desk.image, self._viewer.dims)
        segment = self._segment(desk.segmentation.current)
        count = slice_count(desk.image, plane.axis)
        first, last = segment.ranges.get(plane.axis, (0, count - 1))
        first, last = (
            (plane.index, max(last, plane.index))
            if end == 0
            else (min(first, plane.index), plane.index)
        )
        desk.limit(segment.number, plane.axis, first, last)
        self._state.tell(f"{segment.title}: slices {first} to {last}.")

    def move_selected_boxes(self, number: int) -> None:
        """Give the selected boxes to another segment.

        Raises
        ------
        MedSAMLiteError
            If no box is selected.
        """
        desk = self._desk()
        rows = selected_rows(desk.boxes)
        if desk.boxes is None or not rows:
            raise MedSAMLiteError("Select a box first, with the arrow tool of the boxes layer.")
        move_boxes(desk.boxes, rows, self._segment(number).number)
        desk.take_boxes()

    def delete(self, number: int) -> None:
        """Take a segment away with its boxes and its voxels.

        Raises
        ------
        MedSAMLiteError
            If it is locked, or a run is in progress.
        """
        desk, segment = self._desk(), self._segment(number)
        if segment.locked:
            raise MedSAMLiteError(f"{segment.title} is locked; unlock it to delete it.")
        if self._state.busy:
            raise MedSAMLiteError(IN_PROGRESS)
        writers = self._erased(desk, number)
        before = None if desk.drawing is None else desk.drawing.now
        edit = desk.change(desk.segmentation.drop(number), f"the deletion of {segment.title}")
        for writer in writers:
            writer.keep_with(edit, Asked("deletion", Settings(), numbers=(number,)))
        if desk.drawing is not None:
            desk.drawing.remove_of(number)
            edit.boxes = before, desk.drawing.known

    def _erased(self, desk: Desk, number: int) -> list[MaskWriter]:
        """What erased the segment from each volume."""
        writers = []
        for leading in desk.masks.volumes() if desk.masks is not None else ():
            writer = MaskWriter(desk, 0, [number], "overwrite", False, leading)
            for index in range(slice_count(desk.image, 0)):
                writer.erase(number, index)
            if writer.has_written:
                writers.append(writer)
        return writers

    def _segment(self, number: int) -> Segment:
        segment = self._desk().segmentation.get(number)
        if segment is None:
            raise MedSAMLiteError(f"There is no segment {number}; press New segment.")
        return segment

    def _change(self, segment: Segment, what: str) -> None:
        desk = self._desk()
        after = desk.segmentation.put(segment)
        if after != desk.segmentation:
            desk.change(after, what)
