"""The Shapes layer of a desk: its boxes as they were last, and what a person does to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from napari.layers import Shapes

from napari_medsam_lite.core.labelset import color_of
from napari_medsam_lite.core.segmentation import Segment, Segmentation
from napari_medsam_lite.gui.session.box_watch import BoxWatch
from napari_medsam_lite.gui.viewer.box_layer import (
    NUMBERS,
    Boxes,
    dress_boxes,
    names_of_boxes,
    number_boxes,
)


class DeskBoxes:
    """What boxes are drawn in.

    Parameters
    ----------
    layer : Shapes
        Listened to until `close`.
    changed : callable
        Is told when boxes may have been changed.
    moved : callable
        Is told again and again while the mouse moves a box.

    Attributes
    ----------
    known : Boxes
        As they were when they were looked at last; while one is moved, as before that.
    """

    def __init__(
        self, layer: Shapes, changed: Callable[[], None], moved: Callable[[], None]
    ) -> None:
        self.layer, self.known = layer, Boxes.of(layer)
        self._watch = BoxWatch(layer, changed, moved)

    def close(self) -> None:
        """Listen no more."""
        self._watch.close()

    @property
    def now(self) -> Boxes:
        """As they are."""
        return Boxes.of(self.layer)

    def number(self, segmentation: Segmentation, highest: int) -> Segmentation:
        """Number and dress the boxes; returns the segments with one for each number.

        Boxes that have no number yet are the current segment's. `highest` is the highest label that
        any voxel bears: a segment that is begun for them gets a higher number.
        """
        names = names_of_boxes(self.layer)
        begun = segmentation if segmentation.current else segmentation.begin(highest)
        with self._watch.unheard():
            numbers = number_boxes(self.layer, begun.current)
        # What is named in the file of the boxes is begun with that name.
        is_needed = begun.current in numbers and begun.current not in names
        found = begun if is_needed else segmentation
        for number in sorted(set(numbers) - {0}):
            if found.get(number) is None:
                new = Segment(name=names.get(number, ""), number=number, color=color_of(number))
                found = replace(found.put(new), current=found.current or number)
        self.dress(found)
        return found

    def dress(self, segmentation: Segmentation) -> None:
        """Give each box the colour of its segment."""
        with self._watch.unheard():
            dress_boxes(self.layer, segmentation)

    def begin(self) -> None:
        """Show the numbers, which all boxes have by now."""
        self.layer.text = NUMBERS
        self.known = self.now

    def look(self) -> tuple[Boxes, Boxes]:
        """As they were known, and as they are, which is known from now on."""
        before, self.known = self.known, self.now
        return before, self.known

    def put(self, boxes: Boxes) -> None:
        """Put `boxes` in the place of those that are there."""
        with self._watch.unheard():
            boxes.put_into(self.layer)
        self.known = boxes

    def remove_of(self, number: int) -> None:
        """Remove those of a segment."""
        with self._watch.unheard():
            rows = [row for row, n in enumerate(number_boxes(self.layer, 0)) if n == number]
            self.layer.remove(rows)
        self.known = self.now
