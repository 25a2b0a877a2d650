"""What was done to an image's segments, boxes and masks in one go: what one undo takes back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from napari.layers import Image

from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.core.segmentation import Segment, Segmentation
from napari_medsam_lite.engine.steps import Step
from napari_medsam_lite.engine.undo import next_serial
from napari_medsam_lite.gui.viewer.box_layer import Boxes


@dataclass(frozen=True, eq=False)
class Written:
    """What was written into one volume of the labels; `leading` is its place among others."""

    step: Step
    leading: tuple[int, ...] = ()


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
        Both may learn more of masks, as long as answers to this edit or to earlier ones come in.
    boxes : tuple of Boxes or None
        Before and after, where boxes were changed.
    written : list of Written
        What was written into the labels, in order.
    serial : int
        When it was done, taken back or done again last; see `engine.undo.next_serial`.
    """

    target: Image
    what: str
    before: Segmentation
    after: Segmentation
    boxes: tuple[Boxes | None, Boxes | None] = (None, None)
    written: list[Written] = field(default_factory=list)
    serial: int = field(default_factory=next_serial)

    @property
    def nbytes(self) -> int:
        """Memory of the patches."""
        return sum(part.step.nbytes for part in self.written)

    def check_locks(self, locked: Iterable[Segment]) -> None:
        """Raise MedSAMLiteError if a segment that is `locked` would be changed by undo or redo."""
        for segment in locked:
            number = segment.number
            comes_or_goes = None in (self.before.get(number), self.after.get(number))
            if comes_or_goes or any(number in part.step.labels for part in self.written):
                raise MedSAMLiteError(
                    f"{self.what[0].upper()}{self.what[1:]} concerns {segment.title}, which is "
                    "locked; unlock it first."
                )
