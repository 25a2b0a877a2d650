"""Images and labels by the suffix of the file's name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.case import Case
from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.io.boxes import parse_box, read_boxes, read_named_boxes
from napari_medsam_lite.io.nifti import read_nifti, write_nifti
from napari_medsam_lite.io.npz import read_npz, read_npz_labels, write_npz

__all__ = [
    "SUFFIXES",
    "file_suffix",
    "list_cases",
    "parse_box",
    "read_boxes",
    "read_case",
    "read_labels",
    "read_named_boxes",
    "read_volume",
    "write_labels",
]

SUFFIXES = (".npz", ".nii.gz", ".nii")


def file_suffix(path: str | Path) -> str:
    """The one of `SUFFIXES` that `path` ends with.

    Raises
    ------
    FileFormatError
        If it ends with none of them.
    """
    name = Path(path).name.lower()
    for suffix in SUFFIXES:
        if name.endswith(suffix):
            return suffix
    raise FileFormatError(f"{path}: the name must end with one of {', '.join(SUFFIXES)}.")


def list_cases(folder: str | Path) -> list[Path]:
    """The files in `folder` that can be read, sorted by name; folders in it are not entered.

    Raises
    ------
    FileFormatError
        If there is none, or no such folder.
    """
    path = Path(folder)
    files = sorted(path.iterdir()) if path.is_dir() else []
    found = [file for file in files if file.name.lower().endswith(SUFFIXES)]
    if not found:
        raise FileFormatError(
            f"{folder} is no folder with files that end with {', '.join(SUFFIXES)}."
        )
    return found


def read_case(path: str | Path) -> Case:
    """The image in `path`, with the boxes and the truth that the file carries.

    Raises
    ------
    FileFormatError
        If the suffix is unknown, or the file is not what it says.
    UnsupportedImageError
        If what it holds cannot be segmented.
    """
    if file_suffix(path) == ".npz":
        return read_npz(path)
    return Case(read_nifti(path))


def read_volume(path: str | Path) -> Volume:
    """The image in `path`: (Z, Y, X) with spacing and affine; errors as `read_case`."""
    return read_case(path).volume


def read_labels(path: str | Path) -> NDArray[Any]:
    """The labels in `path`, as `write_labels` wrote them: (Z, Y, X) integers.

    Raises
    ------
    FileFormatError
        If the suffix is unknown, or the file holds no labels.
    """
    if file_suffix(path) == ".npz":
        return read_npz_labels(path)
    labels = read_nifti(path).data
    if labels.dtype.kind not in "iu":
        raise FileFormatError(f"{path} holds {labels.dtype} voxels, not labels.")
    return labels


def write_labels(
    path: str | Path,
    labels: NDArray[Any],
    volume: Volume,
    *,
    gts: NDArray[Any] | None = None,
) -> None:
    """Write labels in the space of the image that they were made on.

    The file appears whole or not at all; an existing one is replaced, unless it is
    the image itself.

    Parameters
    ----------
    path : path
        The suffix chooses the format.
    labels : ndarray
        (Z, Y, X) whole numbers from 0 to 65535; written as uint8 if 255 is enough, else as uint16.
    volume : Volume
        The image; gives the geometry.
    gts : ndarray, optional
        (Z, Y, X) truth, stored beside the labels where the format can (npz).

    Raises
    ------
    FileFormatError
        If the labels do not fit, the suffix is unknown, or the file cannot be written.
    """
    suffix = file_suffix(path)
    labels = _small_labels(labels, volume)
    if volume.source and Path(path).resolve() == volume.source.path.resolve():
        raise FileFormatError(f"{path} is the image itself; give the labels another name.")
    if suffix == ".npz":
        write_npz(path, labels, volume, gts)
    else:
        write_nifti(path, labels, volume)


def _small_labels(labels: NDArray[Any], volume: Volume) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """The labels as uint8 or uint16, after a check that nothing is lost by it."""
    if labels.shape != volume.shape:
        raise FileFormatError(
            f"The labels of shape {labels.shape} do not fit the image of shape {volume.shape}."
        )
    if labels.dtype.kind not in "iub":
        raise FileFormatError(f"Labels must be whole numbers, not {labels.dtype}.")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high > np.iinfo(np.uint16).max:
        raise FileFormatError(f"Labels must lie in 0..65535; these reach from {low} to {high}.")
    if high > np.iinfo(np.uint8).max:
        return labels.astype(np.uint16)
    return labels.astype(np.uint8)
