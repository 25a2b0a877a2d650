"""What is outlined: segments and the boxes drawn round them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from napari_medsam_lite.core.boxes import Box2D, Box3D
from napari_medsam_lite.core.errors import PromptError

Source = Literal["predicted", "between"]
"""Where a mask comes from: the network, or interpolated between two slices that were asked."""


@dataclass(frozen=True)
class SliceRecord:
    """What is known of one mask once it is painted.

    Attributes
    ----------
    label, index : int
        Its label, and its slice.
    score : float
        The network's own estimate of the IoU; of a mask between two others, the lower of theirs.
    source : str
        See `Source`.
    reason : str
        Why the object ends here, or the network was asked here too; empty where nothing is to say.
    """

    label: int
    index: int
    score: float
    source: Source = "predicted"
    reason: str = ""


@dataclass(frozen=True)
class Segment:
    """One thing that is outlined, with one or more boxes round it.

    A box on one slice is a *key box*. One over several slices and with a `key` is one too: it was
    drawn on that slice, and says how far the thing reaches. One over several slices without a key
    is a *fence*: nothing of the thing, or of a part of it, lies outside.

    Attributes
    ----------
    boxes : tuple of Box3D
        At least one.
    name : str
        For people; two segments may have the same.
    """

    boxes: tuple[Box3D, ...]
    name: str = ""

    def clip(self, shape: tuple[int, int, int], axis: int) -> Segment:
        """With the parts of the boxes inside a volume of `shape`, for slices across `axis`.

        Raises
        ------
        PromptError
            If there is no box, or one lies outside or has no area on its slices.
        """
        if not self.boxes:
            raise PromptError(f"There is no box of {self.name or 'a segment'}; draw one.")
        return replace(self, boxes=tuple(box.clip(shape, axis) for box in self.boxes))

    def extent(self, axis: int) -> tuple[int, int]:
        """First and last slice across `axis` of all boxes, inclusive."""
        return extent_of(self.boxes, axis)

    def tracks(self, axis: int) -> list[tuple[Box3D, ...]]:
        """Boxes that belong to one way through the volume: each fence alone, key boxes together.

        Of two key boxes on one slice, the second begins another track: they are two parts. Where
        there are several, a key box belongs to the one that it lies nearest to.
        """
        fences: list[tuple[Box3D, ...]] = []
        keyed: list[dict[int, Box3D]] = []
        for box in self.boxes:
            first, last = box.extent(axis)
            if box.key is None and first < last:
                fences.append((box,))
                continue
            slice_of_it = first if box.key is None else box.key
            free = [track for track in keyed if slice_of_it not in track]
            if not free:
                keyed.append({})
                free = keyed[-1:]
            plane = box.plane(axis)
            nearest = min(free, key=lambda track: _distance_to(track, plane, axis))
            nearest[slice_of_it] = box
        return [*fences, *(tuple(track.values()) for track in keyed)]


def _distance_to(track: Mapping[int, Box3D], plane: Box2D, axis: int) -> float:
    """Between the middles of `plane` and the nearest box of a track, in voxels; 0 if it is new."""
    y, x = plane.centre
    others = (box.plane(axis).centre for box in track.values())
    return min((math.hypot(y - row, x - column) for row, column in others), default=0.0)


def extent_of(boxes: Sequence[Box3D], axis: int) -> tuple[int, int]:
    """First and last slice across `axis` of all `boxes`, inclusive."""
    firsts, lasts = zip(*(box.extent(axis) for box in boxes), strict=True)
    return min(firsts), max(lasts)


def count_slices(segments: Iterable[Segment], axis: int) -> int:
    """How many masks there are at most: one a slice of each track."""
    extents = (extent_of(track, axis) for part in segments for track in part.tracks(axis))
    return sum(last - first + 1 for first, last in extents)


def group_by_label(
    boxes: Sequence[Box3D], labels: Sequence[int] = ()
) -> tuple[list[int], list[Segment]]:
    """Labels and their segments: boxes of one label belong together, in order of appearance.

    Without `labels`, each box is a segment of its own, and the labels are 1, 2, 3, ...
    """
    labels = labels or range(1, len(boxes) + 1)
    found: dict[int, Segment] = {}
    for label, box in zip(labels, boxes, strict=True):
        found[label] = Segment((*(found[label].boxes if label in found else ()), box))
    return list(found), list(found.values())


def number_names(names: Sequence[str]) -> tuple[int, ...]:
    """A label for each box: boxes of one name share one, each without a name has its own."""
    numbers: dict[object, int] = {}
    return tuple(
        numbers.setdefault(name or place, len(numbers) + 1) for place, name in enumerate(names)
    )
