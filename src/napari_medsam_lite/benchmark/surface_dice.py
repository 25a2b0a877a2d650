"""Normalised surface Dice: how much of two surfaces lies within a tolerance of the other."""

from __future__ import annotations

from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from skimage.measure import marching_cubes, mesh_surface_area

TOLERANCE_MM = 2.0
"""As in the MedSAM on Laptop challenge."""

Spacing = tuple[float, float, float]

_CORNERS = tuple(product((0, 1), repeat=3))
_INSIDE = 255


def normalised_surface_dice(
    a: NDArray[np.bool_], b: NDArray[np.bool_], spacing: Spacing, tolerance: float = TOLERANCE_MM
) -> float:
    """Area of both surfaces within `tolerance` of the other one, over the area of both.

    As the MedSAM on Laptop challenge computes it (``SurfaceDice.py`` of bowang-lab/MedSAM, from
    google-deepmind/surface-distance; Nikolov et al., "Deep learning to achieve clinically
    applicable segmentation of head and neck anatomy for radiotherapy", 2018). Each corner between
    2 x 2 x 2 voxels that are not all alike is a surface element, with the area that marching cubes
    gives to these voxels; its distance is that to the nearest corner with an element of the other
    surface. The outside of the volume is empty.

    Parameters
    ----------
    a, b : ndarray
        (Z, Y, X) bool masks of one shape.
    spacing : tuple of float
        Voxel size in mm, (z, y, x).
    tolerance : float
        In mm; a surface at this distance counts as met.

    Returns
    -------
    float
        0..1; 1 if both masks are empty, 0 if one is.
    """
    if not a.any() or not b.any():
        return float(a.any() == b.any())
    window = _around(a | b)
    codes = [_neighbours(mask[window]) for mask in (a, b)]
    borders = [(code != 0) & (code != _INSIDE) for code in codes]
    areas = [_areas(spacing)[code[border]] for code, border in zip(codes, borders, strict=True)]
    distances = [distance_transform_edt(~border, sampling=spacing) for border in borders]
    met = [
        area[distance[border] <= tolerance].sum()
        for area, border, distance in zip(areas, borders, reversed(distances), strict=True)
    ]
    return float(sum(met) / sum(area.sum() for area in areas))


def _around(mask: NDArray[np.bool_]) -> tuple[slice, ...]:
    """The smallest window with all true voxels."""
    axes = range(mask.ndim)
    found = (np.flatnonzero(mask.any(axis=tuple({*axes} - {axis}))) for axis in axes)
    return tuple(slice(there[0], there[-1] + 1) for there in found)


def _neighbours(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Which of the 8 voxels round each corner are true, a bit each: (Z + 1, Y + 1, X + 1)."""
    padded = np.pad(mask, 1).astype(np.uint8)
    codes = np.zeros([size + 1 for size in mask.shape], np.uint8)
    for bit, corner in enumerate(_CORNERS):
        window = tuple(slice(c, c + size) for c, size in zip(corner, codes.shape, strict=True))
        codes |= padded[window] << bit
    return codes


@lru_cache(maxsize=8)
def _areas(spacing: Spacing) -> NDArray[np.float64]:
    """The area in mm^2 of the surface element of each neighbourhood, (256,)."""
    areas = np.zeros(256)
    for code in range(1, _INSIDE):
        # The challenge's table takes a neighbourhood and its complement for one surface; marching
        # cubes closes those with diagonal corners in two ways, and this is the one of the table.
        smaller = code if code.bit_count() <= 4 else _INSIDE - code
        voxels = np.zeros((2, 2, 2), np.float32)
        for bit, corner in enumerate(_CORNERS):
            voxels[corner] = smaller >> bit & 1
        points, triangles, _, _ = marching_cubes(voxels, 0.5, spacing=spacing, method="lorensen")
        areas[code] = mesh_surface_area(points, triangles)
    return areas
