"""The Shapes layer of a desk: its boxes as they were last, and what a person does to them."""

from __future__ import annotations

from collections.abc import Callable

from napari.layers import Shapes

from napari_medsam_lite.core.segmentation import Segmentation
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

    @property
    def names(self) -> dict[int, str]:
        """Number -> the name that the file of the boxes had for it."""
        return names_of_boxes(self.layer)

    def number(self, new: int) -> list[int]:
        """The segment of each box; those that have none yet get `new`."""
        with self._watch.unheard():
            return number_boxes(self.layer, new)

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
