"""Where voxels lie: from what files say to array order (z, y, x) and RAS millimetres."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.errors import FileFormatError

_ENDS = ("SI", "AP", "RL")  # of z, y and x
_STRAIGHT = 1e-3  # less is rounding in the file
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def swap_axis_order(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """An affine from the order (x, y, z) to (z, y, x) on both sides, or back."""
    order = [2, 1, 0, 3]
    return affine[np.ix_(order, order)]


def affine_from_lps(
    linear: NDArray[np.float64], origin: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The affine of a `Volume`.

    Parameters
    ----------
    linear : ndarray
        (3, 3) a column each for the steps along x, y and z, in LPS mm.
    origin : ndarray
        (3,) the middle of the first voxel, in LPS mm.
    """
    lps = np.eye(4)
    lps[:3, :3], lps[:3, 3] = linear, origin
    return swap_axis_order(_LPS_TO_RAS @ lps)


def affine_to_lps(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """The (4, 4) affine from the index (x, y, z, 1) to LPS mm of that of a `Volume`."""
    return _LPS_TO_RAS @ swap_axis_order(affine)


def check_affine(affine: NDArray[np.float64], path: object) -> None:
    """Raise FileFormatError if voxels have no place, or no volume, by `affine`."""
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine)) < np.finfo(np.float32).tiny:
        raise FileFormatError(
            f"{path}: the affine in the header holds NaN or has no volume, so the voxels have no "
            "place; repair the header first."
        )


def orientation_of(affine: NDArray[np.float64]) -> tuple[str, bool]:
    """Which way the axes (z, y, x) go, and whether they go aslant.

    A letter an axis, as for "SPL": z to the head (superior), y to the back (posterior), x to the
    left; I, A and R are the other ways.
    """
    linear = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    letters = ""
    for axis in range(3):
        world = int(np.abs(linear[:, axis]).argmax())
        letters += _ENDS[world][int(linear[world, axis] < 0)]
    return letters, bool((np.sort(np.abs(linear), axis=0)[:2] > _STRAIGHT).any())


def spacing_of(affine: NDArray[np.float64]) -> tuple[float, float, float]:
    """(z, y, x) in mm of an affine in that order, without the last digits of its arithmetic."""
    z, y, x = (float(f"{size:.9g}") for size in np.linalg.norm(affine[:3, :3], axis=0))
    return z, y, x
