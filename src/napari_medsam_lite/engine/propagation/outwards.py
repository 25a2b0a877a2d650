"""From the key slices outwards: each mask's box, grown, prompts the next slice.

All objects and both directions step together, so that one encoding serves all of them and their
boxes are decoded in batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.frame import ModelFrame, frame_xyxy
from napari_medsam_lite.engine.propagation.slice_mask import Decode, SliceMask, decode_prompts

NEXT_BOX_MARGIN = 3

FrameBox = NDArray[np.float32]
"""(4,) XYXY in frame pixels."""

AfterEmpty = Callable[[FrameBox], FrameBox | None]
"""From an object's first box to the next one after an empty mask; None: the object ends there."""


@dataclass
class _Front:
    """One object on its way in one direction."""

    object: int
    ahead: list[int]
    first_box: NDArray[np.float32]
    box: NDArray[np.float32] = field(init=False)

    def __post_init__(self) -> None:
        self.box = self.first_box


def plan(box: Box3D, axis: int) -> tuple[list[int], list[int]]:
    """The slices of `box` upwards from its key slice (included), and downwards from below it."""
    first, last = box.extent(axis)
    key = (first + last) // 2 if box.key is None else box.key
    return list(range(key, last + 1)), list(range(key - 1, first - 1, -1))


def count_slices(boxes: Sequence[Box3D], axis: int) -> int:
    """How many masks there are at most: one a slice of each box."""
    return sum(len(up) + len(down) for up, down in (plan(box, axis) for box in boxes))


def propagate_outwards(
    boxes: Sequence[Box3D], axis: int, frame: ModelFrame, decode: Decode, after_empty: AfterEmpty
) -> Iterator[SliceMask]:
    """Masks of all `boxes` (clipped to the volume), from their key slices outwards.

    A slice's box is the tight box of the mask before it, grown by 3 frame pixels.
    """
    plans = [plan(box, axis) for box in boxes]
    starts = [
        _Front(i, up[:1], frame.box_to_frame(box.plane(axis)))
        for i, (box, (up, _)) in enumerate(zip(boxes, plans, strict=True))
    ]
    fronts: list[_Front] = []
    for front, item in _step(starts, frame, decode):
        yield item
        box = _box_after(front, item, frame, after_empty)
        if box is None:
            continue
        up, down = plans[front.object]
        for ahead in (up[1:], down):
            follower = _Front(front.object, ahead, front.first_box)
            follower.box = box
            fronts.append(follower)
    while fronts := [front for front in fronts if front.ahead]:
        for front, item in _step(fronts, frame, decode):
            yield item
            box = _box_after(front, item, frame, after_empty)
            if box is None:
                front.ahead = []
            else:
                front.box, front.ahead = box, front.ahead[1:]


def _step(
    fronts: Sequence[_Front], frame: ModelFrame, decode: Decode
) -> Iterator[tuple[_Front, SliceMask]]:
    """Decode the slice each front stands before, neighbouring slices together."""
    ordered = sorted(fronts, key=lambda front: front.ahead[0])
    prompts = [(front.object, front.ahead[0], front.box) for front in ordered]
    yield from zip(ordered, decode_prompts(prompts, frame, decode), strict=True)


def _box_after(
    front: _Front, item: SliceMask, frame: ModelFrame, after_empty: AfterEmpty
) -> FrameBox | None:
    box = frame.box_of_mask(item.corner, item.patch, NEXT_BOX_MARGIN)
    return after_empty(front.first_box) if box is None else frame_xyxy(box)
