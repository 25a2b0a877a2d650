"""Between two slices: boxes and masks interpolated, and whether two masks agree enough for that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from napari_medsam_lite.engine.look import Corners
from napari_medsam_lite.engine.propagation.parts import count_parts
from napari_medsam_lite.engine.propagation.slice_mask import SliceMask

LEAST_AREA_RATIO = 0.6
LEAST_DICE = 0.7
LEAST_SCORE = 0.6
FARTHEST = 8.0
"""Voxels from the border, beyond which the logit of an interpolated mask stays the same."""


def box_between(first: Corners, second: Corners, share: float) -> Corners:
    """The box at `share` (0..1) of the way from `first` to `second`.

    Its middle moves evenly, and the square of each side: most organs are round, and sides that
    changed evenly would cut them.
    """
    middle = (1 - share) * (first[:2] + first[2:]) + share * (second[:2] + second[2:])
    sides = np.sqrt(
        (1 - share) * (first[2:] - first[:2]) ** 2 + share * (second[2:] - second[:2]) ** 2
    )
    return np.concatenate([middle - sides, middle + sides]) / 2


def disagreement(first: SliceMask, second: SliceMask) -> str:
    """Why the masks of two slices must not be interpolated between, in words; empty if they may."""
    if not first.area or not second.area:
        return "the object ends here"
    if min(first.score, second.score) < LEAST_SCORE:
        return "an unsure neighbour"
    a, b = _side_by_side(first, second)
    if min(first.area, second.area) < LEAST_AREA_RATIO * max(first.area, second.area):
        return "neighbours of another size"
    if 2 * np.count_nonzero(a & b) < LEAST_DICE * (first.area + second.area):
        return "neighbours in another place"
    if count_parts(a) != count_parts(b):
        return "neighbours in another number of parts"
    return ""


def masks_between(first: SliceMask, second: SliceMask, aspect: float = 1.0) -> Iterator[SliceMask]:
    """The masks of the slices between two, by their signed distances to the border.

    `aspect` is the height of a voxel over its width. The logits are the distances in voxels'
    widths: positive inside.
    """
    a, b = _side_by_side(first, second)
    start, stop = _signed_distance(a, aspect), _signed_distance(b, aspect)
    (y, x), step = _corner(first, second), 1 if second.index > first.index else -1
    for index in range(first.index + step, second.index, step):
        share = (index - first.index) / (second.index - first.index)
        logits = (start + (stop - start) * share).astype(np.float32)
        yield replace(
            first,
            index=index,
            score=min(first.score, second.score),
            corner=(y, x),
            logits=np.clip(logits, -FARTHEST, FARTHEST),
            source="between",
            reason="",
        )


def _corner(first: SliceMask, second: SliceMask) -> tuple[int, int]:
    return min(first.corner[0], second.corner[0]), min(first.corner[1], second.corner[1])


def _side_by_side(
    first: SliceMask, second: SliceMask
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Both masks in the smallest window that holds their patches."""
    y, x = _corner(first, second)
    bottom, right = (max(a.stop, b.stop) for a, b in zip(first.window, second.window, strict=True))
    masks = []
    for item in (first, second):
        mask = np.zeros((bottom - y, right - x), bool)
        rows, columns = item.window
        mask[rows.start - y : rows.stop - y, columns.start - x : columns.stop - x] = item.patch
        masks.append(mask)
    return masks[0], masks[1]


def _signed_distance(mask: NDArray[np.bool_], aspect: float) -> NDArray[np.float64]:
    """Distance of each pixel's centre to the border, positive inside; the mask is not empty."""
    padded = np.pad(mask, 1)  # a mask that fills its window has a border all the same
    inside = distance_transform_edt(padded, sampling=(aspect, 1))
    outside = distance_transform_edt(~padded, sampling=(aspect, 1))
    signed: NDArray[np.float64] = np.where(padded, inside - 0.5, 0.5 - outside)
    return signed[1:-1, 1:-1]
