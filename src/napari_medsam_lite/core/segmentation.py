"""What is outlined: segments, the boxes drawn round them, and what is known of their masks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import InitVar, dataclass, field, replace
from typing import Literal

from napari_medsam_lite.core.asked import Asked
from napari_medsam_lite.core.boxes import Box2D, Box3D
from napari_medsam_lite.core.errors import PromptError
from napari_medsam_lite.core.labelset import Code, Color, LabelClass, color_of

Source = Literal["predicted", "between"]
"""Where a mask comes from: the network, or interpolated between two slices that were asked."""
NOTHING_FOUND = "nothing was found"
"""The reason of a mask that is empty."""
UNLIKE = 90.0
"""Between red, green and blue of two colours (0..255 each) that are told apart."""
COLORS_TRIED = 20
Place = tuple[int, int]
"""An axis that slices lie across, and a slice."""


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
        At least one, for the engine; none yet while a person has drawn none.
    name : str
        For people; two segments may have the same.
    number : int
        Its label in an array; 0 where the caller counts.
    color : tuple of int
        Red, green, blue in 0..255.
    code : Code or None
        The anatomy, for machines.
    ranges : mapping
        Axis -> first and last slice to segment across it, inclusive; all slices where there is
        none.
    records : mapping
        `Place` -> what is known of the mask there.
    visible, locked : bool
        Whether it is shown, and whether nothing may change its voxels.
    key_boxes : sequence of Box3D
        More of `boxes`, for those who call them so.
    """

    boxes: tuple[Box3D, ...] = ()
    name: str = ""
    number: int = 0
    color: Color = (230, 159, 0)
    code: Code | None = None
    ranges: Mapping[int, tuple[int, int]] = field(default_factory=dict, hash=False)
    records: Mapping[Place, SliceRecord] = field(default_factory=dict, hash=False)
    visible: bool = True
    locked: bool = False
    key_boxes: InitVar[Sequence[Box3D]] = ()

    def __post_init__(self, key_boxes: Sequence[Box3D]) -> None:
        object.__setattr__(self, "boxes", (*self.boxes, *key_boxes))

    @property
    def title(self) -> str:
        """Its name, or its number in words."""
        return self.name or f"Segment {self.number}"

    @property
    def label_class(self) -> LabelClass:
        """What a file keeps of it."""
        return LabelClass(self.number, self.title, self.color, self.code)

    @property
    def worst_score(self) -> float | None:
        """The lowest predicted IoU of its masks; None while there is none."""
        return min((record.score for record in self.records.values()), default=None)

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


@dataclass(frozen=True)
class Segmentation:
    """The segments of one image, in the order in which they were begun.

    Attributes
    ----------
    segments : sequence of Segment
        Each with a number of its own, or 0 before it is `numbered`. Kept as a tuple.
    current : int
        The number of the one that new boxes belong to; 0 if there is none.
    asked : tuple of Asked
        What the network painted, in order.
    """

    segments: Sequence[Segment] = ()
    current: int = 0
    asked: tuple[Asked, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "segments", tuple(self.segments))

    def numbered(self) -> Segmentation:
        """With a number for each segment: those without one get the next that is free."""
        taken = {each.number for each in self.segments} - {0}
        free = (number for number in range(1, len(self.segments) + len(taken) + 1))
        unused = (number for number in free if number not in taken)
        return replace(
            self,
            segments=[s if s.number else replace(s, number=next(unused)) for s in self.segments],
        )

    def get(self, number: int) -> Segment | None:
        """The segment of that number, if there is one."""
        return next((each for each in self.segments if each.number == number), None)

    @property
    def current_segment(self) -> Segment | None:
        """The one that new boxes belong to."""
        return self.get(self.current)

    @property
    def locked(self) -> frozenset[int]:
        """The numbers of the segments that nothing may change."""
        return frozenset(each.number for each in self.segments if each.locked)

    def begin(self, taken: int = 0) -> Segmentation:
        """With one more segment, current now, its number higher than any here and than `taken`."""
        number = max([taken, *(each.number for each in self.segments)]) + 1
        begun = Segment(number=number, color=self._free_color(number))
        return replace(self.put(begun), current=number)

    def put(self, segment: Segment) -> Segmentation:
        """With `segment` in the place of the one of its number, or as the last."""
        if self.get(segment.number) is None:
            return replace(self, segments=(*self.segments, segment))
        same = segment.number
        return replace(
            self, segments=tuple(segment if s.number == same else s for s in self.segments)
        )

    def drop(self, number: int) -> Segmentation:
        """Without the segment of that number; its neighbour is current then."""
        numbers = [each.number for each in self.segments]
        left = tuple(each for each in self.segments if each.number != number)
        if self.current != number or number not in numbers:
            return replace(self, segments=left)
        place = min(numbers.index(number), len(left) - 1)
        return replace(self, segments=left, current=left[place].number if left else 0)

    def named_by(self, others: Segmentation) -> Segmentation:
        """With the segments of `others` too; those without a name here get name, colour, code."""
        found = self
        for other in others.segments:
            known = found.get(other.number)
            if known is None or not known.name:
                same = replace(known or other, name=other.name, color=other.color, code=other.code)
                found = found.put(same)
        return replace(found, current=found.current or others.current)

    def without_masks(self) -> Segmentation:
        """With nothing known of masks: they are gone."""
        bare = [replace(each, records={}) for each in self.segments]
        return replace(self, segments=bare, asked=())

    def _free_color(self, number: int) -> Color:
        """The colour of `number`, or of a higher one where a segment has nearly that colour."""
        taken = [each.color for each in self.segments]
        offered = [color_of(number + further) for further in range(COLORS_TRIED)]
        return max(
            offered,
            key=lambda color: min((math.dist(color, t) for t in taken), default=UNLIKE) >= UNLIKE,
        )

    def seen_as(self, other: Segmentation) -> Segmentation:
        """With eyes, locks and current segment as in `other`: what undo leaves alone."""
        kept = tuple(
            each
            if (now := other.get(each.number)) is None
            else replace(each, visible=now.visible, locked=now.locked)
            for each in self.segments
        )
        current = other.current if any(s.number == other.current for s in kept) else self.current
        return replace(self, segments=kept, current=current)


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
