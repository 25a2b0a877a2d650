"""One image's desk: its segments, and how they, its boxes and its masks are kept in step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from napari.layers import Image, Labels, Layer, Shapes

from napari_medsam_lite.core.segmentation import Segment, Segmentation
from napari_medsam_lite.engine.steps import LabelArray
from napari_medsam_lite.engine.undo import UndoStack
from napari_medsam_lite.gui.session.desk_boxes import DeskBoxes
from napari_medsam_lite.gui.session.desk_labels import DeskLabels
from napari_medsam_lite.gui.session.edit import Edit
from napari_medsam_lite.gui.viewer.box_layer import Boxes
from napari_medsam_lite.gui.viewer.geometry import held_by, slice_count
from napari_medsam_lite.gui.viewer.label_layer import (
    can_take_masks,
    dress_labels,
    highest_label,
    segments_of,
)
from napari_medsam_lite.io.case_record import CaseRecord
from napari_medsam_lite.io.metadata import CASE, KEY

Learn = Callable[[Segmentation], Segmentation]
BOXES = "the change of boxes"


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
        self.masks: DeskLabels | None = None
        self.leading: tuple[int, ...] = (0,) * (0 if image.rgb else max(image.ndim - 3, 0))
        self.under_way: Learn | None = None
        """Adds what a run that has not ended yet has painted and was asked."""
        self._edits, self._changed, self._drawn = edits, changed, drawn
        self.drawing: DeskBoxes | None = None
        self._moving: Edit | None = None

    @property
    def boxes(self) -> Shapes | None:
        """The layer of the boxes, if there is one."""
        return None if self.drawing is None else self.drawing.layer

    @property
    def labels(self) -> Labels | None:
        """The layer of the masks, if there is one."""
        return None if self.masks is None else self.masks.layer

    @property
    def so_far(self) -> Segmentation:
        """The segments as the labels are now, in the middle of a run perhaps."""
        return self.segmentation if self.under_way is None else self.under_way(self.segmentation)

    def attach(self, layer: Layer) -> None:
        """Take a layer of the image's on."""
        self.detach(layer)
        if isinstance(layer, Shapes):
            self.drawing = DeskBoxes(layer, self.take_boxes, self._follow_move)
            self.segmentation = self.drawing.number(self.segmentation, self.highest)
            self.drawing.begin()
        elif isinstance(layer, Labels):
            self.masks = DeskLabels(
                layer,
                self.leading or (0,) * (layer.ndim - 3),
                lambda: self.segmentation.locked,
                lambda: self._changed(self),
                self._on_other_labels,
            )
            self._take_case(layer)
            self.segmentation = self.segmentation.named_by(segments_of(layer))
        self.show(self.segmentation)

    def detach(self, layer: Layer) -> None:
        """Let go of a layer of the same kind as `layer`."""
        if isinstance(layer, Shapes) and self.drawing is not None:
            self.drawing.close()
            self.drawing = self._moving = None
        elif isinstance(layer, Labels) and self.masks is not None:
            self.masks.close()
            self.masks = None
            self.segmentation = self.segmentation.without_masks()
            self._changed(self)

    def close(self) -> None:
        """Let go of both layers."""
        for layer in (self.boxes, self.labels):
            if layer is not None:
                self.detach(layer)

    def show(self, segmentation: Segmentation) -> None:
        """Make `segmentation` what is shown; not to be undone."""
        self.segmentation = segmentation
        if self.drawing is not None:
            self.drawing.dress(segmentation)
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
            edit = Edit(self.image, what, self.segmentation, segmentation)
            self._edits.push(edit)
        self.show(segmentation)
        return edit

    def restore(
        self,
        segmentation: Segmentation,
        boxes: Boxes | None,
        volumes: Mapping[tuple[int, ...], LabelArray],
        what: str,
    ) -> Edit:
        """Put segments, boxes and labels of another time in the place of what is there.

        Parameters
        ----------
        segmentation : Segmentation
            What is shown then.
        boxes : Boxes or None
            Those of the layer, which must be there; None leaves it as it is.
        volumes : mapping
            The labels of volumes, each of the shape of one; the others stay.
        what : str
            For "... was taken back".
        """
        edit = self.change(segmentation, what)
        if boxes is not None and self.drawing is not None:
            edit.boxes = self.drawing.now, boxes
            self.drawing.put(boxes)
        if volumes and self.masks is not None:
            edit.written += self.masks.put(volumes)
        self._edits.trim()
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

    @property
    def highest(self) -> int:
        """The highest label that any voxel bears."""
        # Not from the tally: scripts write into the array, and nobody is told.
        return 0 if self.labels is None else highest_label(self.labels)

    def size_of(self, number: int) -> tuple[int, float]:
        """Slices and millilitres of a segment's mask."""
        return (0, 0.0) if self.masks is None else self.masks.size_of(number)

    @property
    def standing(self) -> tuple[int, Segmentation, Boxes | None]:
        """What was done last, by its serial; segments and boxes: others after every change."""
        found = self._edits.undoable(self.image), self._edits.redoable(self.image)
        last = max((edit.serial for edit in found if edit is not None), default=0)
        return last, self.segmentation, None if self.drawing is None else self.drawing.known

    def learn(self, edit: Edit, learnt: Learn) -> None:
        """More is known of masks since `edit`, which was not the last one perhaps."""
        edit.after = learnt(edit.after)
        for later in self._edits.later(edit):
            later.before, later.after = learnt(later.before), learnt(later.after)
        self._edits.trim()
        self.show(learnt(self.segmentation))

    def turn_to(self, leading: tuple[int, ...]) -> None:
        """Look at another volume of an image of more than three dimensions."""
        self.leading = leading
        if self.masks is not None:
            self.masks.turn_to(leading)

    def apply(self, edit: Edit, back: bool) -> None:
        """Take `edit` back, or do it again; voxels that were changed by hand since stay."""
        written = edit.written[::-1] if back else edit.written
        if self.masks is not None:
            for part in written:
                volume = self.masks.volume(part.leading)
                (part.step.revert if back else part.step.repeat)(volume)
        boxes = edit.boxes[0 if back else 1]
        if boxes is not None and self.drawing is not None:
            self.drawing.put(boxes)
        wanted = (edit.before if back else edit.after).seen_as(self.segmentation)
        self.show(self._with_kept(wanted))
        if written and self.masks is not None:
            self.masks.show(written)

    def _with_kept(self, wanted: Segmentation) -> Segmentation:
        """With the segments besides whose voxels or boxes no edit has made: they stay too."""
        boxed = set() if self.drawing is None else self.drawing.now.numbers
        for segment in self.segmentation.segments:
            number = segment.number
            if wanted.get(number) is None:
                if self.masks is not None and self.masks.holds(number):
                    wanted = wanted.put(replace(segment, records={}))
                elif number in boxed:
                    wanted = wanted.put(segment)
        return wanted

    def _follow_move(self) -> None:
        """Tell where a box is now, as one edit from the press to the release."""
        if self.drawing is None:
            return
        now, known = self.drawing.now, self.drawing.known
        if now == (known if self._moving is None else self._moving.boxes[1]):
            return
        if self._moving is None:
            self._moving = Edit(self.image, BOXES, self.segmentation, self.segmentation)
        self._moving.boxes = known, now
        self._drawn(self, self._moving, True)

    def _on_other_labels(self) -> None:
        """The labels are another array: what was done to the old one is gone with it."""
        layer = self.labels
        assert layer is not None
        self._edits.forget(self.image)
        self.detach(layer)
        if can_take_masks(layer, self.image):
            self.attach(layer)
        else:
            self._changed(self)

    def _take_case(self, layer: Labels) -> None:
        """Know what the case, whose labels these are, tells of them; it is told once."""
        held = held_by(layer)
        case = held.get(CASE)
        if self.masks is None or not isinstance(case, CaseRecord):
            return
        layer.metadata[KEY] = {n: v for n, v in held.items() if n != CASE}
        if self.segmentation.asked:
            return
        self.segmentation = case.segmentation.named_by(self.segmentation)
        self.masks.know_as_computed()
        if case.painted is not None:
            self.masks.brush.hold(case.painted, case.leading)

    def take_boxes(self) -> None:
        """Number and colour the boxes as they are, and tell what a person did to them."""
        if self.drawing is None:
            return
        before = self.segmentation
        after = self.drawing.number(before, self.highest)
        known, now = self.drawing.look()
        if now == known and self._moving is None:
            if after != before:
                self.show(after)
            return
        edit, self._moving = self._moving or Edit(self.image, BOXES, before, after), None
        edit.boxes = known, now
        self._edits.push(edit)
        self.show(after)
        self._drawn(self, edit, False)
