"""Boxes that travel through a volume: from the key slice outwards, each mask giving the next box.

All objects and both directions step together, so that one encoding serves all of them and their
boxes are decoded in batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.boxes import Box2D, Box3D, tight_box
from napari_medsam_lite.core.frame import ModelFrame, Patch, frame_xyxy, grow_in_frame
from napari_medsam_lite.core.settings import Propagation, parse_propagation

NEXT_BOX_MARGIN = 3
LABEL_BOX_MARGIN = 5
BOX_BATCH = 16


@dataclass(frozen=True)
class SliceMask:
    """One object's mask on one slice.

    Attributes
    ----------
    object : int
        Index of the box that it belongs to.
    index : int
        Slice number across the axis that is segmented.
    score : float
        The network's own estimate of the IoU.
    corner, logits
        The (row, column) where the patch starts and its (h, w) float32 logits; outside the patch
        the mask is empty.
    shape : tuple of int
        (H, W) of the slice.
    """

    object: int
    index: int
    score: float
    corner: tuple[int, int]
    logits: NDArray[np.float32]
    shape: tuple[int, int]

    @property
    def patch(self) -> NDArray[np.bool_]:
        """(h, w) bool mask inside the patch."""
        return self.logits > 0

    @property
    def window(self) -> tuple[slice, slice]:
        """Where the patch lies in the slice."""
        (y, x), (h, w) = self.corner, self.logits.shape
        return slice(y, y + h), slice(x, x + w)

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(H, W) bool mask of the whole slice."""
        mask = np.zeros(self.shape, bool)
        mask[self.window] = self.patch
        return mask


Decode = Callable[[list[int], NDArray[np.float32]], list[tuple[Patch, float]]]
"""Slice numbers (N) and boxes (N, 4) XYXY in the frame -> a patch and a score for each."""


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


def propagate(
    boxes: Sequence[Box3D], axis: int, frame: ModelFrame, decode: Decode, propagation: Propagation
) -> Iterator[SliceMask]:
    """Masks of all `boxes` (clipped to the volume), from their key slices outwards.

    A slice's box is the tight box of the mask before it, grown by 3 frame pixels. After an empty
    mask, ``"published"`` goes on with the first box; ``"guided"`` takes the object to end there.

    Raises
    ------
    MedSAMLiteError
        If `propagation` is neither.
    """
    propagation = parse_propagation(propagation)
    plans = [plan(box, axis) for box in boxes]
    starts = [
        _Front(i, up[:1], frame.box_to_frame(box.plane(axis)))
        for i, (box, (up, _)) in enumerate(zip(boxes, plans, strict=True))
    ]
    fronts: list[_Front] = []
    for front, item in _step(starts, frame, decode):
        yield item
        box = _next_box(front, item, frame, propagation)
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
            box = _next_box(front, item, frame, propagation)
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


def decode_prompts(
    prompts: Sequence[tuple[int, int, NDArray[np.float32]]], frame: ModelFrame, decode: Decode
) -> Iterator[SliceMask]:
    """The masks of prompts (object, slice number, box XYXY in the frame), in batches, in order."""
    shape = (frame.height, frame.width)
    for start in range(0, len(prompts), BOX_BATCH):
        objects, indices, boxes = zip(*prompts[start : start + BOX_BATCH], strict=True)
        answers = decode(list(indices), np.stack(boxes))
        for number, index, (patch, score) in zip(objects, indices, answers, strict=True):
            yield SliceMask(number, index, score, patch.corner, patch.logits, shape)


def _next_box(
    front: _Front, item: SliceMask, frame: ModelFrame, propagation: Propagation
) -> NDArray[np.float32] | None:
    box = frame.box_of_mask(item.corner, item.patch, NEXT_BOX_MARGIN)
    if box is not None:
        return frame_xyxy(box)
    return front.first_box if propagation == "published" else None


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
