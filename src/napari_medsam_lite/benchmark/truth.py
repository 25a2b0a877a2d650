"""Cases whose answer is known: where they lie, and what is in them."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.io.formats import read_case, read_labels, read_volume
from napari_medsam_lite.io.guard import reading

IMAGE, LABELS, NAMES = "ct.nii.gz", "labels.nii.gz", "labels.csv"
LEAST_VOXELS = 50
"""Objects with fewer are left out: what is left of an organ at the edge of a scan."""


@dataclass(frozen=True)
class TruthFiles:
    """Where a case lies; `labels` is None for an .npz that has its truth in itself."""

    image: Path
    labels: Path | None = None


@dataclass(frozen=True, eq=False)
class TruthCase:
    """An image and its objects.

    Parameters
    ----------
    name : str
        For tables.
    volume : Volume
        The image.
    labels : ndarray
        (Z, Y, X) whole numbers, 0 for background.
    names : dict
        Label -> name of each object that is measured, in the order of the labels.
    left_out : int
        How many objects are too small to be measured.
    """

    name: str
    volume: Volume
    labels: NDArray[Any]
    names: dict[int, str]
    left_out: int

    def organ(self, label: int) -> NDArray[np.bool_]:
        """(Z, Y, X) bool mask of one object."""
        return np.asarray(self.labels == label)


def find_truth(folder: str | Path) -> list[TruthFiles]:
    """The cases in `folder`, sorted by name.

    They are its .npz files and its sub-folders with ``ct.nii.gz`` and ``labels.nii.gz``; it may
    also be such a folder itself.

    Raises
    ------
    FileFormatError
        If there is none, or the folder cannot be read.
    """
    top = Path(folder)
    if _holds_case(top):
        return [_in_folder(top)]
    if not top.is_dir():
        raise FileFormatError(f"{top} is no folder.")
    try:
        inside = sorted(top.iterdir())
    except OSError as error:
        raise FileFormatError(f"The folder {top} cannot be read: {error.strerror}.") from error
    found = [_in_folder(path) for path in inside if _holds_case(path)]
    found += [TruthFiles(path) for path in inside if _is_npz(path)]
    if not found:
        raise FileFormatError(
            f"{top} holds no case with its truth: an .npz file with 'gts', or a folder with "
            f"{IMAGE} and {LABELS}."
        )
    return found


def read_truth(files: TruthFiles) -> TruthCase | None:
    """The case, or None if it has no truth or no object in it that is large enough.

    Raises
    ------
    FileFormatError
        If a file cannot be read, or image and labels differ in shape.
    """
    if files.labels is None:
        case = read_case(files.image)
        found = None if case.gts is None else _case(case.volume.name, case.volume, case.gts, {})
        return found if found is not None and found.names else None
    volume, labels = read_volume(files.image), read_labels(files.labels)
    if labels.shape != volume.shape:
        raise FileFormatError(
            f"{files.labels} has the shape {labels.shape}, its image {volume.shape}; "
            "they must lie on one grid."
        )
    name = files.image.parent.name if files.image.name == IMAGE else volume.name
    found = _case(name, volume, labels, _read_names(files.labels.with_name(NAMES)))
    return found if found.names else None


def _case(name: str, volume: Volume, labels: NDArray[Any], names: dict[int, str]) -> TruthCase:
    found, sizes = np.unique(labels[labels > 0], return_counts=True)
    kept = [int(label) for label in found[sizes >= LEAST_VOXELS]]
    named = {label: names.get(label, str(label)) for label in kept}
    return TruthCase(name, volume, labels, named, len(found) - len(kept))


def _read_names(path: Path) -> dict[int, str]:
    """Label -> name, from the columns id and name; nothing if there is no such file."""
    if not path.is_file():
        return {}
    with reading(path, "a table of labels"), path.open(newline="", encoding="utf-8-sig") as file:
        return {int(row["id"]): row["name"] for row in csv.DictReader(file)}


def _holds_case(folder: Path) -> bool:
    return (folder / IMAGE).is_file() and (folder / LABELS).is_file()


def _in_folder(folder: Path) -> TruthFiles:
    return TruthFiles(folder / IMAGE, folder / LABELS)


def _is_npz(path: Path) -> bool:
    return path.suffix.lower() == ".npz" and not path.name.startswith(".") and path.is_file()
