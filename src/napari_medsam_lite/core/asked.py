"""What the network was asked and painted: enough to paint the same masks again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.settings import Settings

Kind = Literal["slice", "volume", "live", "deletion"]
"""A run on one slice or through the volume, a box answered as it was drawn, a segment deleted."""
Pair = tuple[int, int]
"""A label, and a slice across the axis of the settings."""


@dataclass(frozen=True)
class Asked:
    """One thing that was asked, and that changed labels.

    Attributes
    ----------
    kind : str
        See `Kind`.
    settings : Settings
        With the preset and the device that computed.
    boxes : tuple of Box3D
        Inclusive voxel corners.
    numbers : tuple of int
        The label of each box; of a deletion, the label alone.
    locked : frozenset of int
        The labels that nothing could change.
    erased : tuple of Pair
        Where a label was taken away: of live answers before the masks were painted, else after.
    only : tuple of Pair or None
        Of what ended early, where masks were painted; None where it came to its end.
    leading : tuple of int
        The volume, of an image of more than three dimensions.
    checkpoint_sha256 : str
        Of the weights; empty where none were needed.
    """

    kind: Kind
    settings: Settings
    boxes: tuple[Box3D, ...] = ()
    numbers: tuple[int, ...] = ()
    locked: frozenset[int] = frozenset()
    erased: tuple[Pair, ...] = ()
    only: tuple[Pair, ...] | None = None
    leading: tuple[int, ...] = ()
    checkpoint_sha256: str = ""

    @property
    def pairs(self) -> frozenset[Pair]:
        """What a live answer was about: its boxes lie on one slice each."""
        axis = self.settings.axis
        drawn = zip(self.numbers, (box.extent(axis)[0] for box in self.boxes), strict=True)
        return frozenset((*drawn, *self.erased))

    def supersedes(self, other: Asked) -> bool:
        """Whether nothing is left of `other`, the answer right before this one.

        So it is while a box is dragged. A mask that overwrites others leaves holes in them.
        """
        return (
            self.kind == other.kind == "live"
            and self.settings.axis == other.settings.axis
            and self.leading == other.leading
            and other.settings.overlap != "overwrite"
            and other.pairs <= self.pairs
        )


def followed(asked: tuple[Asked, ...], latest: Asked) -> tuple[Asked, ...]:
    """`asked` with one more, and without the one before where nothing is left of it."""
    return (*(asked[:-1] if asked and latest.supersedes(asked[-1]) else asked), latest)
