"""NRRD images: voxels as stored, in their place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.case import Case
from napari_medsam_lite.core.volume import Source, Volume
from napari_medsam_lite.io.affine import affine_from_lps, check_affine, spacing_of
from napari_medsam_lite.io.nrrd_arrays import read_nrrd_arrays

WHAT = "an NRRD image"
_TO_LPS = {"l": 1, "r": -1, "p": 1, "a": -1, "s": 1, "i": -1}
_UNITS = {"mm": 1.0, "millimeter": 1.0, "cm": 10.0, "m": 1000.0, "um": 1e-3, "micron": 1e-3}
_NO_PLACE = (
    "It does not say how the patient lay: rows are taken to go from front to back and columns from "
    "the patient's right to left."
)


def read_nrrd(path: Path) -> Case:
    """Read a ``.nrrd`` file of one scalar image in two or three dimensions.

    Returns
    -------
    Case
        The volume alone, (Z, Y, X), as stored; double becomes float32.

    Raises
    ------
    FileFormatError
        If its voxels are in another file, it claims more than it holds, or has no place.
    UnsupportedImageError
        If the image has several time points or channels.
    ValueError, OSError, EOFError
        If the file is damaged or cut short.
    """
    header, data = read_nrrd_arrays(path)
    affine, notes = nrrd_affine(header)
    check_affine(affine, path)
    volume = Volume(
        data if data.ndim != 2 else data[np.newaxis],
        spacing_of(affine),
        affine,
        path.name[: -len(path.suffix)],
        Source(path),
        notes=notes,
    )
    return Case(volume)


def nrrd_affine(header: dict[str, Any]) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """The affine of a `Volume` by the axes that lie in space, and what is told of it."""
    given = np.asarray(header.get("space directions", []), float)
    given = given[np.isfinite(given).any(axis=1)] if given.ndim == 2 else given
    count = len(given) or len(header["sizes"])
    space = str(header.get("space", "")).lower()
    axes = [word[:1] for word in space.split("-")] if "-" in space else list(space)
    known = len(axes) == 3 and set(axes) <= set(_TO_LPS)
    signs = np.array([_TO_LPS[axis] for axis in axes] if known else [1, 1, 1])
    steps = np.eye(3)
    if len(given) and count <= 3:
        steps[:count, : given.shape[1]] = given
        if count == 2:
            steps[2] = np.cross(steps[0], steps[1]) / np.linalg.norm(np.cross(steps[0], steps[1]))
    elif "spacings" in header and count <= 3:
        steps[range(count), range(count)] = np.asarray(header["spacings"], float)
    origin = np.zeros(3)
    if "space origin" in header:
        given = np.asarray(header["space origin"], float)
        origin[: len(given)] = given
    units = [_UNITS.get(str(unit).lower(), 1.0) for unit in header.get("space units", [])]
    scale = np.array(units) if len(units) == 3 else np.ones(3)
    affine = affine_from_lps((steps * scale * signs).T, origin * scale * signs)
    return affine, () if known else (_NO_PLACE,)
