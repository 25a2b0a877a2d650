"""One image's desk: its segments, and how they, its boxes and its masks are kept in step."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from napari.layers import Image, Labels, Layer, Shapes
from numpy.typing import NDArray
from qtpy.QtCore import QTimer

from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.core.labelset import color_of
from napari_medsam_lite.core.segmentation import Segment, Segmentation
from napari_medsam_lite.engine.painting import LabelArray, room_for
from napari_medsam_lite.engine.tally import Tally
from napari_medsam_lite.engine.undo import UndoStack
from napari_medsam_lite.gui.session.edit import Edit
from napari_medsam_lite.gui.viewer.box_layer import (
    DRAWING,
    NUMBERS,
    SELECTING,
    Boxes,
    dress_boxes,
    names_of_boxes,
    number_boxes,
)
from napari_medsam_lite.gui.viewer.brush import Brush
from napari_medsam_lite.gui.viewer.clicks import drop_a_click
from napari_medsam_lite.gui.viewer.geometry import slice_count, transform
from napari_medsam_lite.gui.viewer.label_layer import dress_labels, highest_label, segments_of

MM3_PER_ML = 1000.0


class Desk:
    """The segments of one image, with its layers.

    The boxes are the Shapes layer's, the voxels the Labels layer's; all else of the segments is
    here, and shown in both.

    Parameters
    ----------
    image : Image
        What is segmented.
    edits : UndoStack
        Where what a person does is kept.
    changed : callable
        Is told this desk whenever something to show has changed.
    drawn : callable
        Is told this desk, the edit and False whenever a person changed boxes; and True while the
        mouse still moves one, again and again with the same edit.
    """

    def __init__(
        self,
        image: Image,
        edits: UndoStack[Edit],
        changed: Callable[[Desk], None],
        drawn: Callable[[Desk, Edit, bool], None],
    ) -> None:
        self.image, self.segmentation = image, Segmentation()
        self.boxes: Shapes | None = None
        self.labels: Labels | None = None
        self.brush: Brush | None = None
        self.leading: tuple[int, ...] = ()
        self._edits, self._changed, self._drawn = edits, changed, drawn
        self._known: Boxes | None = None
        self._moving: Edit | None = None
        self._tally: Tally | None = None
        self._array: weakref.ref[LabelArray] | None = None
        self._quiet = False

    def attach(self, layer: Layer) -> None:
        """Take a layer of the image's on."""
        self.detach(layer)
        if isinstance(layer, Shapes):
            self.boxes, self._known = layer, None
            self.take_boxes()
            layer.text = NUMBERS
            layer.events.data.connect(self._on_boxes)
            layer.mouse_drag_callbacks.append(self._on_drag)
        elif isinstance(layer, Labels):
            self.labels = layer
            self.brush = Brush(layer, lambda: self.segmentation.locked, self.recount)
            self._array = weakref.ref(layer.data)
            self._tally = Tally(self._volume())
            for found in segments_of(layer).segments:
                known = self.segmentation.get(found.number)
                if known is None or not known.name:
                    same = replace(
                        known or found, name=found.name, color=found.color, code=found.code
                    )
                    self.segmentation = self.segmentation.put(same)
        self.show(self.segmentation)

    def detach(self, layer: Layer) -> None:
        """Let go of a layer of the same kind as `layer`."""
        if isinstance(layer, Shapes) and self.boxes is not None:
            self.boxes.events.data.disconnect(self._on_boxes)
            self.boxes.mouse_drag_callbacks.remove(self._on_drag)
            self.boxes = self._known = self._moving = None
        elif isinstance(layer, Labels) and self.labels is not None:
            if self.brush is not None:
                self.brush.close()
            self.labels = self.brush = self._tally = self._array = None

    def close(self) -> None:
        """Let go of both layers."""
        for layer in (self.boxes, self.labels):
            if layer is not None:
                self.detach(layer)

    def show(self, segmentation: Segmentation) -> None:
        """Make `segmentation` what is shown; not to be undone."""
        self.segmentation = segmentation
        if self.boxes is not None:
            with self._unheard():
                dress_boxes(self.boxes, segmentation)
        if self.labels is not None:
            dress_labels(self.labels, segmentation)
        self._changed(self)

    def change(self, segmentation: Segmentation, what: str, again: bool = False) -> Edit:
        """Make `segmentation` what is there, by one more edit.

        With `again`, the last edit grows instead if it was the same: a number that is stepped
        through is one change.
        """
        last = self._edits.undoable(self.image)
        if again and last is not None and last.what == what and last.after is self.segmentation:
            edit = last
            edit.after = segmentation
        else:
            edit = Edit(self.image, what, self.segmentation, segmentation, leading=self.leading)
            self._edits.push(edit)
        self.show(segmentation)
        return edit

    def begun(self) -> Segment:
        """The current segment, begun now if there is none; not to be undone."""
        if self.segmentation.current_segment is None:
            self.show(self.segmentation.begin(self.highest))
        segment = self.segmentation.current_segment
        assert segment is not None
        return segment

    def limit(self, number: int, axis: int, first: int, last: int) -> None:
        """Segment no slices across `axis` but `first` to `last`, both included, of a segment."""
        segment = self.segmentation.get(number)
        whole = (0, slice_count(self.image, axis) - 1)
        if segment is not None and segment.ranges.get(axis, whole) != (first, last):
            limited = replace(segment, ranges={**segment.ranges, axis: (first, last)})
            self.change(self.segmentation.put(limited), "the range", again=True)

    def without_boxes_of(self, number: int) -> Boxes | None:
        """The boxes that are left once those of a segment are removed, which is done now."""
        shapes = self.boxes
        if shapes is None:
            return None
        with self._unheard():
            shapes.remove([row for row, n in enumerate(number_boxes(shapes, 0)) if n == number])
        self._known = Boxes.of(shapes)
        return self._known

    @property
    def slice_count(self) -> int:
        """Slices across the first axis."""
        return slice_count(self.image, 0)

    @property
    def highest(self) -> int:
        """The highest label that any voxel bears."""
        # Not from the tally: scripts write into the array, and nobody is told.
        return 0 if self.labels is None else highest_label(self.labels)

    def size_of(self, number: int) -> tuple[int, float]:
        """Slices and millilitres of a segment's mask."""
        if self._tally is None:
            return 0, 0.0
        per_voxel = abs(float(np.linalg.det(transform(self.image)[0][-3:, -3:])))
        return self._tally.slices(number), self._tally.voxels(number) * per_voxel / MM3_PER_ML

    def recount(self, indices: Any) -> None:
        """Voxels on these slices across the first axis were changed."""
        if self._tally is not None:
            self._tally.recount(indices)
            self._changed(self)

    def recount_edit(self, edit: Edit) -> None:
        """The voxels of an edit were changed."""
        found: set[int] = set()
        for step in edit.steps:
            if step.axis == 0:
                found.update(step.changes)
            else:
                for change in step.changes.values():
                    found.update(range(change.window[0].start, change.window[0].stop))
        self.recount(sorted(found))
        self._edits.trim()  # the edit has grown

    def array(self, numbers: list[int]) -> LabelArray:
        """The labels' array, with room for `numbers`; another one than before ends its edits.

        Raises
        ------
        MedSAMLiteError
            If a number is too high for a Labels layer of 16 bits.
        """
        assert self.labels is not None
        if self._array is None or self._array() is not self.labels.data:
            self._edits.forget(self.image)  # the user has put another array there
        roomy = room_for(self.labels.data, numbers)
        if roomy is not self.labels.data:
            self.labels.data = roomy
        if self._array is None or self._array() is not self.labels.data:
            self._array, self._tally = weakref.ref(self.labels.data), Tally(self._volume())
        return self._volume()

    def turn_to(self, leading: tuple[int, ...]) -> None:
        """Look at another volume of an image of more than three dimensions."""
        if leading != self.leading:
            self.leading = leading
            if self.labels is not None:
                self._tally = Tally(self._volume())
                self._changed(self)

    def _volume(self, leading: tuple[int, ...] | None = None) -> LabelArray:
        """The labels of the volume looked at, or of another: a view."""
        assert self.labels is not None
        data: LabelArray = np.asarray(self.labels.data)
        volume: LabelArray = data[self.leading if leading is None else leading]
        return volume

    def apply(self, edit: Edit, back: bool) -> None:
        """Take `edit` back, or do it again; voxels that were changed by hand since stay.

        Raises
        ------
        MedSAMLiteError
            If the labels are another array by now; the image's edits are dropped then.
        """
        if edit.steps and self.labels is not None:
            if self._array is None or self._array() is not self.labels.data:
                self._edits.forget(self.image)
                raise MedSAMLiteError(
                    "The labels were replaced by others since, so what was painted on the old ones "
                    "cannot be taken back or repeated."
                )
            for step in reversed(edit.steps) if back else edit.steps:
                (step.revert if back else step.repeat)(self._volume(edit.leading))
        boxes = edit.boxes[0 if back else 1]
        if boxes is not None and self.boxes is not None:
            with self._unheard():
                boxes.put_into(self.boxes)
            self._known = boxes
        wanted = edit.before if back else edit.after
        self.show(wanted.seen_as(self.segmentation))
        self.recount_edit(edit)
        if edit.steps and self.labels is not None:
            self.labels.refresh(extent=False)

    def held(self) -> NDArray[np.bool_] | None:
        """The voxels of the volume looked at that a person painted."""
        held = None if self.brush is None else self.brush.held
        return None if held is None else held[self.leading]

    @contextmanager
    def _unheard(self) -> Iterator[None]:
        before, self._quiet = self._quiet, True
        try:
            yield
        finally:
            self._quiet = before

    def _on_boxes(self, event: Any) -> None:
        action = str(getattr(event.action, "value", event.action))
        if self._quiet or action not in ("added", "changed", "removed"):
            return
        if action == "added" and event.source.mode in DRAWING:
            # Later, for napari is still busy with the shape that it has just finished.
            QTimer.singleShot(0, self._after_drawing)
        else:
            self.take_boxes()

    def _on_drag(self, shapes: Shapes, event: Any) -> Iterator[None]:
        """A box that the mouse moves is answered on the way; napari tells its end."""
        yield
        while event.type == "mouse_move":
            if shapes.mode in SELECTING and shapes.selected_data:
                self._follow_move()
            yield

    def _follow_move(self) -> None:
        """Tell where a box is now, as one edit from the press to the release."""
        if self.boxes is None or self._known is None:
            return
        now = Boxes.of(self.boxes)
        if now == (self._known if self._moving is None else self._moving.boxes[1]):
            return
        if self._moving is None:
            self._moving = self._edit_of(self.segmentation, self.segmentation)
        self._moving.boxes = self._known, now
        self._drawn(self, self._moving, True)

    def _edit_of(self, before: Segmentation, after: Segmentation) -> Edit:
        return Edit(self.image, "the change of boxes", before, after, leading=self.leading)

    def _after_drawing(self) -> None:
        if self.boxes is not None:
            with self._unheard():
                drop_a_click(self.boxes)
            self.take_boxes()

    def take_boxes(self) -> None:
        """Number and colour the boxes as they are, and tell what a person did to them."""
        shapes = self.boxes
        if shapes is None or self._quiet:
            return
        before = self.segmentation
        numbers = self._numbered(shapes)
        after = self._with_segments(numbers, names_of_boxes(shapes))
        with self._unheard():
            dress_boxes(shapes, after)
        now, known = Boxes.of(shapes), self._known
        self._known = now
        if known is None or now == known:
            if after != before:
                self.show(after)
            return
        edit, self._moving = self._moving or self._edit_of(before, after), None
        edit.boxes = known, now
        self._edits.push(edit)
        self.show(after)
        self._drawn(self, edit, False)

    def _numbered(self, shapes: Shapes) -> list[int]:
        current = self.segmentation.current
        begun = self.segmentation if current else self.segmentation.begin(self.highest)
        with self._unheard():
            numbers = number_boxes(shapes, begun.current)
        if begun.current in numbers:
            self.segmentation = begun
        return numbers

    def _with_segments(self, numbers: list[int], names: dict[int, str]) -> Segmentation:
        """The segments, with one for each number that boxes have."""
        found = self.segmentation
        for number in sorted(set(numbers) - {0}):
            if found.get(number) is None:
                new = Segment(name=names.get(number, ""), number=number, color=color_of(number))
                found = replace(found.put(new), current=found.current or number)
        return found
