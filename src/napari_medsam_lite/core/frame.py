"""The square frame that the network sees, 256 x 256 as published, and the way there and back.

The longest side of a slice becomes 256 pixels, or fewer where that is enough; the rest is
padded at the right and bottom. Where voxels are not square (coronal slices of thick axial ones),
the frame shows true proportions, unless it is asked to be as published.

The resize of square voxels is OpenCV's ``INTER_AREA`` as the published scripts use it: the mean of
what a new pixel covers, or, when it enlarges, interpolation with weights that all but repeat the
voxels; a frame may ask for plain linear ones there. The published resize answers in 8 bit, and the
network feels a difference of one grey level, so OpenCV's order of sums and its rounding are kept
too (tests compare with OpenCV itself). No BLAS: its threads wait busily and would slow the network
down.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.boxes import Box2D, tight_box

FRAME = 256
"""Pixels of a side, as published."""

SIDES = (96, 128, 192, 256)
"""The sides that the network is run at; a smaller one costs by its area."""

STRIDE = 4
"""Frame pixels along a side of one pixel of the embedding."""

ONE = 2048  # OpenCV's weights of an enlarged 8-bit image are whole numbers of 1/2048


@dataclass(frozen=True)
class Patch:
    """The part of a slice where a mask can be: logits, and the (row, column) where it starts.

    Outside the patch every logit is at most 0, so the mask is empty there.
    """

    corner: tuple[int, int]
    logits: NDArray[np.float32]


@dataclass(frozen=True)
class ModelFrame:
    """Maps slices of (height, width) voxels to the frame and masks back.

    `aspect` is the height of a voxel over its width; with any but 1 the slice is stretched to true
    proportions. `side` is one of `SIDES`. `linear` is whether a slice is enlarged by plain linear
    interpolation, which the network takes better than OpenCV's, whose pixels keep the voxels' edges
    (docs/quality.md). A square voxel without it makes the published frame, bit for bit.
    """

    height: int
    width: int
    aspect: float = 1.0
    side: int = FRAME
    linear: bool = False

    @property
    def scales(self) -> tuple[float, float]:
        """Frame pixels per voxel, along rows' and along columns' direction (y, x)."""
        longest = max(self.height * self.aspect, self.width)
        return self.side * self.aspect / longest, self.side / longest

    @property
    def inner(self) -> tuple[int, int]:
        """(rows, columns) of the frame that hold image; the rest is padding."""
        y, x = self.scales
        return max(int(self.height * y + 0.5), 1), max(int(self.width * x + 0.5), 1)

    @property
    def enlarges(self) -> bool:
        """Whether a voxel is more than a pixel, in one direction at least."""
        return self.inner[0] > self.height or self.inner[1] > self.width

    def resize(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(B, H, W) uint8 slices to (B, h, w) uint8, rounded to the nearest as OpenCV does."""
        if self.aspect != 1 or self.linear:
            return self._stretch(images)
        if self.enlarges:
            return self._enlarge_fixed_point(images)
        if self._divides:
            return self._mean_of_blocks(images)
        h, w = self.inner
        narrow = _mean_over(images, _cells(self.width, w), axis=2)
        return np.rint(_mean_over(narrow, _cells(self.height, h), axis=1)).astype(np.uint8)

    def box_to_frame(self, box: Box2D) -> NDArray[np.float32]:
        """A box in voxels to (4,) XYXY in frame pixels, truncated as the published script does."""
        y, x = self.scales
        corners = (box.x0 * x, box.y0 * y, box.x1 * x, box.y1 * y)
        return np.array([int(corner) for corner in corners], np.float32)

    def box_of_mask(
        self, corner: tuple[int, int], mask: NDArray[np.bool_], margin: int
    ) -> Box2D | None:
        """The tight box, in the frame and grown by `margin`, of a mask given by its patch.

        The mask is resized as an 8-bit image of zeros and ones, so a frame pixel counts when at
        least half of it is covered. None when nothing is left. As published, the far corner may
        reach one past the frame's last pixel.
        """
        (y, x), (h, w) = corner, mask.shape
        whole = np.zeros((1, self.height, self.width), np.uint8)
        whole[0, y : y + h, x : x + w] = mask
        box = tight_box(self.resize(whole)[0] > 0)
        return None if box is None else grow_in_frame(box, margin, self.side)

    def mask_to_image(self, logits: NDArray[np.float32]) -> Patch:
        """(side, side) logits to the patch of (H, W) voxels where they can be positive (bilinear).

        The result equals cropping the padding, interpolating the whole slice without aligned
        corners, and cutting out the patch.
        """
        h, w = self.inner
        empty = Patch((0, 0), np.zeros((0, 0), np.float32))
        reach = tight_box(logits[:h, :w] > 0)
        if reach is None:
            return empty
        (y_low, y_high, _), (x_low, x_high, _) = self._enlarge
        y = np.flatnonzero((y_high >= reach.y0) & (y_low <= reach.y1))
        x = np.flatnonzero((x_high >= reach.x0) & (x_low <= reach.x1))
        if not y.size or not x.size:  # a small slice may have no voxel near a few positive logits
            return empty
        return Patch((int(y[0]), int(x[0])), self.logits_at(logits, y, x))

    def logits_at(
        self, logits: NDArray[np.float32], rows: NDArray[Any], columns: NDArray[Any]
    ) -> NDArray[np.float32]:
        """(side, side) logits at the voxels of `rows` and `columns` (bilinear)."""
        (y_low, y_high, y_weight), (x_low, x_high, x_weight) = self._enlarge
        low, high, wx = x_low[columns], x_high[columns], x_weight[columns]
        top = _mix(logits[y_low[rows]], low, high, wx)
        bottom = _mix(logits[y_high[rows]], low, high, wx)
        wy = y_weight[rows][:, None]
        mixed: NDArray[np.float32] = top * (1 - wy) + bottom * wy
        return mixed

    @property
    def _divides(self) -> bool:
        h, w = self.inner
        return self.height % h == 0 == self.width % w

    @cached_property
    def _enlarge(self) -> tuple[tuple[NDArray[Any], ...], tuple[NDArray[Any], ...]]:
        h, w = self.inner
        return _bilinear_taps(h, self.height), _bilinear_taps(w, self.width)

    def _stretch(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Each direction by itself: means of what a pixel covers, or linear where it enlarges."""
        h, w = self.inner
        narrow = _resize_axis(images, w, axis=2)
        return np.rint(_resize_axis(narrow, h, axis=1)).astype(np.uint8)

    def _mean_of_blocks(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Means where each new pixel covers whole old ones; halves of 2 x 2 blocks go up."""
        h, w = self.inner
        rows, columns = self.height // h, self.width // w
        blocks = np.zeros((len(images), h, w), np.uint32)
        for row in range(rows):
            for column in range(columns):
                blocks += images[:, row::rows, column::columns]
        if rows == columns == 2:
            return (blocks + 2 >> 2).astype(np.uint8)
        means: NDArray[np.float32] = blocks * np.float32(1 / (rows * columns))
        return np.rint(means).astype(np.uint8)

    def _enlarge_fixed_point(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Linear interpolation in integers: weights in 1/2048, columns first, then rows."""
        h, w = self.inner
        y, y_weight = _area_taps(self.height, h)
        x, x_weight = _area_taps(self.width, w)
        wide = images.astype(np.int32)
        upper_x = np.minimum(x + 1, self.width - 1)
        mixed = wide[:, :, x] * (ONE - x_weight) + wide[:, :, upper_x] * x_weight
        mixed >>= 4
        upper_y = np.minimum(y + 1, self.height - 1)
        low = mixed[:, y] * (ONE - y_weight)[:, None] >> 16
        high = mixed[:, upper_y] * y_weight[:, None] >> 16
        return (low + high + 2 >> 2).astype(np.uint8)


def grow_in_frame(box: Box2D, margin: int, side: int = FRAME) -> Box2D:
    """`box` (frame pixels) grown by `margin` and held inside 0..`side`, as published."""
    return Box2D(
        max(0, box.y0 - margin),
        max(0, box.x0 - margin),
        min(side, box.y1 + margin),
        min(side, box.x1 + margin),
    )


def frame_xyxy(box: Box2D) -> NDArray[np.float32]:
    """A box in frame pixels as the network takes it: (4,) XYXY."""
    return np.array([box.x0, box.y0, box.x1, box.y1], np.float32)


Cells = tuple[NDArray[np.intp], NDArray[np.float32]]
"""The old pixels that each new one covers, and their weights: (most covered, new size), both."""


@lru_cache(maxsize=32)
def _cells(size: int, new_size: int) -> Cells:
    """The cells of `new_size` pixels on `size` old ones.

    OpenCV drops a pixel that is covered by less than a thousandth, and so does this.
    """
    step = size / new_size
    start = np.arange(new_size) * step
    stop = np.minimum(start + step, size)
    pixels = np.floor(start).astype(np.intp) + np.arange(int(step) + 2)[:, None]
    covered = np.clip(stop, pixels, pixels + 1) - np.clip(start, pixels, pixels + 1)
    weights = np.where(covered > 1e-3, covered, 0) / (stop - start)
    return np.minimum(pixels, size - 1), weights.astype(np.float32)


def _mean_over(images: NDArray[Any], cells: Cells, axis: int) -> NDArray[np.float32]:
    """Means along `axis`, summed in single precision from the first pixel to the last."""
    shape = [1, 1, 1]
    shape[axis] = -1
    total = np.float32(0)
    for pixels, weights in zip(*cells, strict=True):
        total = total + images.take(pixels, axis) * weights.reshape(shape)
    return np.asarray(total)


def _resize_axis(images: NDArray[Any], new_size: int, axis: int) -> NDArray[np.float32]:
    size = images.shape[axis]
    if new_size <= size:
        return _mean_over(images, _cells(size, new_size), axis)
    low, high, weight = _bilinear_taps(size, new_size)
    shape = [1, 1, 1]
    shape[axis] = -1
    weight = weight.reshape(shape)
    return np.asarray(images.take(low, axis) * (1 - weight) + images.take(high, axis) * weight)


def _area_taps(size: int, new_size: int) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
    """Lower source index, and the weight in 1/2048 of the next one, for each new pixel."""
    pixels = np.arange(new_size)
    enlargement = new_size / size
    lower = np.minimum(np.floor(pixels * (1 / enlargement)).astype(np.intp), size - 1)
    # In single precision before the whole part goes, as OpenCV does: 0.99999999 becomes 0, not 1.
    weight = ((pixels + 1) - (lower + 1) * enlargement).astype(np.float32)
    weight = np.where((weight > 0) & (lower + 1 < size), weight - np.floor(weight), 0)
    return lower, np.rint(weight * np.float32(ONE)).astype(np.int32)


def _bilinear_taps(size: int, new_size: int) -> tuple[NDArray[Any], ...]:
    """Lower and upper source index and the upper one's weight, for each of `new_size` pixels."""
    source = np.maximum((np.arange(new_size) + 0.5) * (size / new_size) - 0.5, 0)
    low = source.astype(np.intp)
    return low, np.minimum(low + 1, size - 1), (source - low).astype(np.float32)


def _mix(
    rows: NDArray[np.float32], low: NDArray[Any], high: NDArray[Any], weight: NDArray[np.float32]
) -> NDArray[np.float32]:
    return rows[:, low] * (1 - weight) + rows[:, high] * weight
