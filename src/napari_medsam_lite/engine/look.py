"""What the network is shown of a slice: all of it, or a square part round a box.

A small organ fills few pixels of a whole slice in the network's frame. Shown a part of the slice as
an image of its own, the network sees it large, and a frame of 96 pixels is enough for that, which
costs a seventh of the published one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.boxes import Box2D
from napari_medsam_lite.core.frame import FRAME, ModelFrame, Patch

LEAST_VOXELS = 24
"""A look's side at least: enlarged further, voxels are only smeared."""

SIZES, STRIDES = 4, 8
"""Sizes of looks from one to its double, and places of a look within its own width."""

Corners = NDArray[np.float64]
"""(4,) y0, x0, y1, x1 in voxels of the slice, inclusive as those of a `Box2D`, but not whole."""


@dataclass(frozen=True)
class Look:
    """A part of one slice in a frame of its own.

    Attributes
    ----------
    index : int
        The slice.
    corner : tuple of int
        The (row, column) where the part starts.
    frame : ModelFrame
        Its size in voxels, and how it lies in the frame.
    """

    index: int
    corner: tuple[int, int]
    frame: ModelFrame

    @classmethod
    def whole(cls, index: int, frame: ModelFrame) -> Look:
        """All of slice `index`, in `frame`."""
        return cls(index, (0, 0), frame)

    @property
    def is_whole(self) -> bool:
        """Whether the frame is the published one, as a whole slice has it."""
        return self.frame.side == FRAME

    @property
    def window(self) -> tuple[slice, slice]:
        """Where the part lies in the slice."""
        (y, x), frame = self.corner, self.frame
        return slice(y, y + frame.height), slice(x, x + frame.width)

    def box_to_frame(self, box: Corners) -> NDArray[np.float32]:
        """(4,) XYXY in frame pixels, truncated as the published script does."""
        (y, x), (rows, columns) = self.corner, self.frame.scales
        y0, x0, y1, x1 = box
        inside = ((x0 - x) * columns, (y0 - y) * rows, (x1 - x) * columns, (y1 - y) * rows)
        return np.array([int(value) for value in inside], np.float32)

    def mask_to_slice(self, logits: NDArray[np.float32]) -> Patch:
        """(side, side) logits to the patch of the slice where they can be positive."""
        patch = self.frame.mask_to_image(logits)
        (y, x), (row, column) = self.corner, patch.corner
        return Patch((y + row, x + column), patch.logits)

    def logits_at(
        self, logits: NDArray[np.float32], window: tuple[slice, slice]
    ) -> NDArray[np.float32]:
        """(side, side) logits in a window of the slice; outside the look, those of its edge."""
        (y, x), frame = self.corner, self.frame
        rows, columns = (np.arange(part.start, part.stop) for part in window)
        return frame.logits_at(
            logits,
            np.clip(rows - y, 0, frame.height - 1),
            np.clip(columns - x, 0, frame.width - 1),
        )


def look_around(index: int, box: Corners, whole: ModelFrame, factor: float, side: int) -> Look:
    """A look `factor` times as wide as the longer side of `box`, in true proportions.

    It is square and lies inside the slice, moved where the slice ends, and smaller where the slice
    is. `whole` is the frame of the whole slice. Sizes and places go in steps, so that a box that is
    dragged a little, or drawn anew on the next slice, has a look that may be encoded already.
    """
    y0, x0, y1, x1 = box
    longest = factor * max((y1 - y0 + 1) * whole.aspect, x1 - x0 + 1)
    size = LEAST_VOXELS * 2 ** (max(round(SIZES * math.log2(longest / LEAST_VOXELS)), 0) / SIZES)
    height, y = _span(y0, y1, round(size / whole.aspect), whole.height)
    width, x = _span(x0, x1, round(size), whole.width)
    return Look(index, (y, x), ModelFrame(height, width, whole.aspect, side))


def _span(first: float, last: float, size: int, all_of_it: int) -> tuple[int, int]:
    """Size and start of a look in one direction, round the box from `first` to `last`."""
    size = min(max(size, 1), all_of_it)
    stride = max(size // STRIDES, 1)
    start = round((first + last + 1 - size) / 2 / stride) * stride
    return size, min(max(start, 0), all_of_it - size)


def corners_of(box: Box2D) -> Corners:
    """The corners of a box that a person drew."""
    return np.array([box.y0, box.x0, box.y1, box.x1], np.float64)
