"""What goes with every labels file: checks before and after it is written, its label set."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.errors import FileFormatError, UnsupportedImageError
from napari_medsam_lite.core.label_volume import LabelVolume, on_grid_of, steps_between
from napari_medsam_lite.core.labelset import LabelClass, in_one_line
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.io.labelsets import read_label_set

_APART = 1e-3  # mm
_ROUNDING = 1e-6  # of the distance from the world's origin: files keep float32


def labels_to_write(
    labels: NDArray[Any], volume: Volume, classes: Iterable[LabelClass]
) -> LabelVolume:
    """The labels as uint8 or uint16 in the space of `volume`, with names that files can hold.

    Raises
    ------
    FileFormatError
        If something would be lost: they do not fit, or are no whole numbers in 0..65535.
    """
    if labels.shape != volume.shape:
        raise FileFormatError(
            f"The labels of shape {labels.shape} do not fit the image of shape {volume.shape}."
        )
    if labels.dtype.kind not in "iub":
        raise FileFormatError(f"Labels must be whole numbers, not {labels.dtype}.")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high > np.iinfo(np.uint16).max:
        raise FileFormatError(f"Labels must lie in 0..65535; these reach from {low} to {high}.")
    small = labels.astype(np.uint16 if high > np.iinfo(np.uint8).max else np.uint8)
    named = tuple(map(in_one_line, classes))
    return LabelVolume(small, volume.spacing, volume.affine, "labels", classes=named)


def check_written(
    path: str | Path, found: LabelVolume, written: LabelVolume, *, keeps_place: bool
) -> None:
    """Compare what was read from a file with what went into it, before it is called saved.

    Parameters
    ----------
    path : path
        For the message.
    found, written : LabelVolume
        Labels, place, and the names and colours that the file itself keeps. A file may leave out
        empty slices, and turn the axes round.
    keeps_place : bool
        Whether the format has a place to compare; else the size of the voxels is.

    Raises
    ------
    FileFormatError
        If voxels differ, or corners lie more than 1 micrometre apart in the world (or a millionth
        of their distance from its origin).
    """
    if not keeps_place:
        found = replace(found, affine=written.affine)
    far = max(1.0, float(np.abs(written.affine[:3, 3]).max()))
    if steps_between(found, written)[1] > max(_APART, _ROUNDING * far):
        raise _not_saved(path, "lie in another place")
    try:
        same = np.array_equal(on_grid_of(found, written), written.data)
    except UnsupportedImageError:
        same = False
    if not same:
        raise _not_saved(path, "differ")
    if found.classes and not _same_names(found, written):
        raise _not_saved(path, "have other names")


def sidecar_path(path: str | Path, suffix: str) -> Path:
    """Where the label set of a labels file goes: ``liver.nii.gz`` -> ``liver.labels.json``."""
    path = Path(path)
    return path.with_name(path.name[: -len(suffix)] + ".labels.json")


def class_path(path: str | Path, suffix: str, each: LabelClass) -> Path:
    """The file of one class beside `path`: its number, and of its name letters and digits."""
    path = Path(path)
    word = re.sub(r"\W+", "_", each.name)[:40].strip("_")
    stem = f"{path.name[: -len(suffix)]}-{each.number}-{word}".rstrip("-")
    return path.with_name(stem + path.name[-len(suffix) :])


def add_sidecar(labels: LabelVolume, path: Path) -> LabelVolume:
    """The labels with what the label set at `path`, if there is one, adds to their own classes.

    The file's own names and colours count more: they cannot have been left behind by another file.
    """
    try:
        beside = read_label_set(path).classes
    except FileFormatError:  # missing, or not ours
        return labels
    known = {(each.number, each.name): each for each in beside}
    inside = tuple(_with_code(each, known) for each in labels.classes)
    return replace(labels, classes=inside or beside)


def _with_code(each: LabelClass, known: dict[tuple[int, str], LabelClass]) -> LabelClass:
    beside = known.get((each.number, each.name))
    return each if beside is None else replace(each, code=beside.code)


def _same_names(found: LabelVolume, written: LabelVolume) -> bool:
    names = {each.number: each.name for each in found.classes}
    return all(names.get(each.number, each.name) == each.name for each in written.classes)


def _not_saved(path: str | Path, what: str) -> FileFormatError:
    return FileFormatError(
        f"{path} was not saved: the labels that were read back {what}; try another format."
    )
