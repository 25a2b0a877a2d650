"""One object's mask on one slice, and the decoding of many."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.frame import ModelFrame, Patch

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
