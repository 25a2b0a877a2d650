"""What was done to an image's segments, boxes and masks in one go: what one undo takes back."""

from __future__ import annotations

from dataclasses import dataclass, field

from napari.layers import Image

from napari_medsam_lite.core.segmentation import Segmentation
from napari_medsam_lite.engine.painting import Step
from napari_medsam_lite.engine.undo import next_serial
from napari_medsam_lite.gui.viewer.box_layer import Boxes


@dataclass(eq=False)
class Edit:
    """One gesture or run.

    Attributes
    ----------
    target : Image
        Whose segments they are.
    what : str
        In a few words, for "... was taken back".
    before, after : Segmentation
        `after` may grow, as long as answers to the gesture come in.
    boxes : tuple of Boxes or None
        Before and after, where boxes were changed.
    steps : list of Step
        What was written into the labels, in order.
    leading : tuple of int
        Which volume, of an image of more than three dimensions.
    serial : int
        See `engine.undo.next_serial`.
    """

    target: Image
    what: str
    before: Segmentation
    after: Segmentation
    boxes: tuple[Boxes | None, Boxes | None] = (None, None)
    steps: list[Step] = field(default_factory=list)
    leading: tuple[int, ...] = ()
    serial: int = field(default_factory=next_serial)

    @property
    def nbytes(self) -> int:
        """Memory of the patches."""
        return sum(step.nbytes for step in self.steps)
