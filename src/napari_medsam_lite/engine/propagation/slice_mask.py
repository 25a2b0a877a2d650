"""One object's mask on one slice, and the decoding of many."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.boxes import Box2D, tight_box
from napari_medsam_lite.core.frame import ModelFrame, Patch
from napari_medsam_lite.core.segmentation import SliceRecord, Source

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
        The network's own estimate of the IoU; of a mask between two others, the lower of theirs.
    corner, logits
        The (row, column) where the patch starts and its (h, w) float32 logits; outside the patch
        the mask is empty.
    shape : tuple of int
        (H, W) of the slice.
    source, reason : str
        See `core.segmentation.SliceRecord`.
    """

    object: int
    index: int
    score: float
    corner: tuple[int, int]
    logits: NDArray[np.float32]
    shape: tuple[int, int]
    source: Source = "predicted"
    reason: str = ""

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

    @cached_property
    def area(self) -> int:
        """Voxels of the mask."""
        return int(np.count_nonzero(self.patch))

    @cached_property
    def box(self) -> Box2D | None:
        """The tight box of the mask in the slice, or None if it is empty."""
        tight, (y, x) = tight_box(self.patch), self.corner
        if tight is None:
            return None
        return Box2D(y + tight.y0, x + tight.x0, y + tight.y1, x + tight.x1)

    def record(self, label: int) -> SliceRecord:
        """What is kept of the mask, painted with `label`."""
        return SliceRecord(label, self.index, round(self.score, 4), self.source, self.reason)

    def inside(self, fence: Box2D) -> SliceMask:
        """The mask without what lies outside `fence`."""
        (y, x), (h, w) = self.corner, self.logits.shape
        rows = slice(max(fence.y0 - y, 0), max(min(fence.y1 + 1 - y, h), 0))
        columns = slice(max(fence.x0 - x, 0), max(min(fence.x1 + 1 - x, w), 0))
        corner = (y + rows.start, x + columns.start)
        return replace(self, corner=corner, logits=self.logits[rows, columns])


Decode = Callable[[list[int], NDArray[np.float32]], list[tuple[Patch, float]]]
"""Slice numbers (N) and boxes (N, 4) XYXY in the frame -> a patch and a score for each."""


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
