"""The parts of a mask that hang together, and which of them are the object that was meant.

The box that is drawn round a thing through all its slices is wider than the thing on most of them,
so the network finds others beside it. What the rules here are worth is told in docs/quality.md.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, label

from napari_medsam_lite.engine.propagation.slice_mask import SliceMask

SPECK = 0.05
"""Of the whole area: smaller parts are not counted."""

MAIN = 0.5
"""Of the largest part's area: smaller ones are not what was meant."""

NEAR = 2
"""Voxels between a part and the mask of the neighbouring slice that it continues, at most."""


def count_parts(mask: NDArray[np.bool_]) -> int:
    """How many parts a mask (H, W) has, specks not counted."""
    areas = np.bincount(label(mask)[0].ravel())[1:]
    return int(np.count_nonzero(areas >= SPECK * areas.sum()))


def main_parts(mask: SliceMask) -> SliceMask:
    """Only the largest part, and those at least half as large."""
    numbers, count = label(mask.patch)
    if count < 2:
        return mask
    areas = np.bincount(numbers.ravel())[1:]
    return _only(mask, numbers, 1 + np.flatnonzero(areas >= MAIN * areas.max()))


def parts_near(mask: SliceMask, neighbour: SliceMask) -> SliceMask:
    """Only the parts that continue the `neighbour` on another slice; `main_parts` if none does."""
    numbers, count = label(mask.patch)
    if count < 2:
        return mask
    near = np.unique(numbers[_grown(neighbour)[mask.window]])
    near = near[near > 0]
    return _only(mask, numbers, near) if near.size else main_parts(mask)


def _only(mask: SliceMask, numbers: NDArray[np.int32], kept: NDArray[np.integer]) -> SliceMask:
    dropped = (numbers > 0) & ~np.isin(numbers, kept)
    return replace(mask, logits=np.where(dropped, -mask.logits, mask.logits))


def _grown(mask: SliceMask) -> NDArray[np.bool_]:
    """(H, W) with what lies `NEAR` the mask."""
    grown, (rows, columns) = mask.mask, mask.window
    around = (
        slice(max(rows.start - NEAR, 0), rows.stop + NEAR),
        slice(max(columns.start - NEAR, 0), columns.stop + NEAR),
    )
    grown[around] = binary_dilation(grown[around], iterations=NEAR)
    return grown
