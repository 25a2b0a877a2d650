"""As the published scripts do it, for parity: 3D boxes, and labels as prompts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.boxes import Box2D, Box3D, tight_box
from napari_medsam_lite.core.frame import ModelFrame, frame_xyxy, grow_in_frame
from napari_medsam_lite.engine.propagation.slice_mask import Decode, SliceMask, decode_prompts

LABEL_BOX_MARGIN = 5
NEXT_BOX_MARGIN = 3

FrameBox = NDArray[np.float32]
"""(4,) XYXY in frame pixels."""


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
    key = box.key_slice(axis)
    return list(range(key, last + 1)), list(range(key - 1, first - 1, -1))


def propagate(
    boxes: Sequence[Box3D], axis: int, frame: ModelFrame, decode: Decode
) -> Iterator[SliceMask]:
    """Masks of all `boxes` (clipped to the volume), from their key slices outwards.

    A slice's box is the tight box of the mask before it, grown by 3 frame pixels; after an empty
    mask, it is the object's first box again. All objects and both directions step together, so
    that one encoding serves all of them and their boxes are decoded in batches.
    """
    plans = [plan(box, axis) for box in boxes]
    starts = [
        _Front(i, up[:1], frame.box_to_frame(box.plane(axis)))
        for i, (box, (up, _)) in enumerate(zip(boxes, plans, strict=True))
    ]
    fronts: list[_Front] = []
    for front, item in _step(starts, frame, decode):
        yield item
        box = _box_after(front, item, frame)
        up, down = plans[front.object]
        for ahead in (up[1:], down):
            follower = _Front(front.object, ahead, front.first_box)
            follower.box = box
            fronts.append(follower)
    while fronts := [front for front in fronts if front.ahead]:
        for front, item in _step(fronts, frame, decode):
            yield item
            front.box, front.ahead = _box_after(front, item, frame), front.ahead[1:]


def _step(
    fronts: Sequence[_Front], frame: ModelFrame, decode: Decode
) -> Iterator[tuple[_Front, SliceMask]]:
    """Decode the slice each front stands before, neighbouring slices together."""
    ordered = sorted(fronts, key=lambda front: front.ahead[0])
    prompts = [(front.object, front.ahead[0], front.box) for front in ordered]
    yield from zip(ordered, decode_prompts(prompts, frame, decode), strict=True)


def _box_after(front: _Front, item: SliceMask, frame: ModelFrame) -> FrameBox:
    box = frame.box_of_mask(item.corner, item.patch, NEXT_BOX_MARGIN)
    return front.first_box if box is None else frame_xyxy(box)


def boxes_of_labels(
    labels: NDArray[np.integer], frame: ModelFrame
) -> list[tuple[int, NDArray[np.float32]]]:
    """Label ids of a (H, W) slice and their (4,) boxes in the frame, grown by 5 pixels.

    As the published FLARE protocol does: labels are resized by taking the nearest voxel (OpenCV's
    ``INTER_NEAREST``), and those that vanish get no box.
    """
    h, w = frame.inner
    rows = np.minimum((np.arange(h) * (frame.height / h)).astype(int), frame.height - 1)
    columns = np.minimum((np.arange(w) * (frame.width / w)).astype(int), frame.width - 1)
    resized = labels[np.ix_(rows, columns)]
    found = []
    for label in np.unique(resized[resized > 0]):
        box = tight_box(resized == label)
        assert isinstance(box, Box2D)
        found.append((int(label), frame_xyxy(grow_in_frame(box, LABEL_BOX_MARGIN))))
    return found
