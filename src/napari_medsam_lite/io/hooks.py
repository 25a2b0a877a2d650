"""What napari calls: the reader and the labels writer, as plain functions.

In napari, images read here lie in the LPS world of CT: millimetres, axes (z, y, x), z to the head,
y to the patient's back, x to the patient's left, so that slices look as radiologists see them. The
exact geometry of the file travels in ``metadata["medsam_lite"]`` and goes into saved labels.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_medsam_lite.core.case import Case
from napari_medsam_lite.core.errors import FileFormatError, FileNote, MedSAMLiteError
from napari_medsam_lite.io.case_layers import case_file_layers
from napari_medsam_lite.io.casefile import is_case
from napari_medsam_lite.io.dicom import find_volumes, read_series
from napari_medsam_lite.io.formats import (
    holds_labels,
    is_dicom,
    is_ours,
    read_case,
    read_label_volume,
    write_labels,
)
from napari_medsam_lite.io.guard import reading
from napari_medsam_lite.io.layer_names import classes_of_layer
from napari_medsam_lite.io.layer_place import file_geometry, labels_in_place, world_of
from napari_medsam_lite.io.layers import LayerData, case_layers, labels_layer
from napari_medsam_lite.io.metadata import CLASSES, KEY

if TYPE_CHECKING:
    from napari_medsam_lite.io.dicom_pixels import Progress
    from napari_medsam_lite.io.dicom_series import Series

Reader = Callable[[str | Sequence[str]], list[LayerData]]


def get_reader(path: str | Sequence[str]) -> Reader | None:
    """Give napari a reader for our files, None for others; looks at an npz's index only."""
    paths = [path] if isinstance(path, str) else list(path)
    return read_layers if paths and all(is_case(p) or is_ours(p) for p in paths) else None


def read_layers(path: str | Sequence[str]) -> list[LayerData]:
    """Read each file: labels as a labels layer, an image with what the file carries besides.

    Raises
    ------
    MedSAMLiteError
        If a file cannot be read, or its image not be segmented.
    """
    paths = [path] if isinstance(path, str) else path
    layers: list[LayerData] = []
    slices: list[Path] = []
    for name in paths:
        if is_case(name):
            layers += case_file_layers(name)
        elif holds_labels(name):
            layers.append(labels_layer(read_label_volume(name)))
        elif is_dicom(name):
            slices.append(Path(name))
        else:
            layers += _told_layers(read_case(name))
    if slices:
        layers += _dicom_layers(slices)
    return layers


def _dicom_layers(paths: Sequence[Path]) -> list[LayerData]:
    """The largest series; the dock offers the others. Several paths are taken as one folder."""
    path = paths[0] if len(paths) == 1 else paths[0].parent
    with reading(path, "a DICOM image", folder=True):
        found, told = find_volumes(path, paths)
    layers, failures = _first_that_opens(path, found)
    opened = layers[0][1]
    if len(found) > 1:
        opened["metadata"][KEY]["series"] = tuple(found)
        told.append(
            f"{path.name} holds {len(found)} series; {opened['name']}, the largest that can be "
            "read, is open; others can be chosen in the dock, under Series."
        )
    for note in (*told, *map(str, failures)):
        warnings.warn(note, FileNote, stacklevel=2)
    return layers


def _first_that_opens(
    path: Path, found: Sequence[Series]
) -> tuple[list[LayerData], list[MedSAMLiteError]]:
    """The layers of the first series that can be opened, and why those before it cannot."""
    failures: list[MedSAMLiteError] = []
    for one in found:
        try:
            with reading(path, "a DICOM image", folder=True):
                layers = _told_layers(Case(read_series(one, path, later=True)))
        except MedSAMLiteError as error:
            failures.append(error)
        else:
            layers[0][1]["metadata"][KEY]["chosen"] = one
            return layers, failures
    raise failures[0]


def series_layers(
    one: Series, found: Sequence[Series], path: Path, progress: Progress | None = None
) -> list[LayerData]:
    """The layers of one of the series that were `found` at `path`.

    Parameters
    ----------
    progress : callable, optional
        Called with (slices done, slices in all); what it raises ends the reading.

    Raises
    ------
    MedSAMLiteError
        If it cannot be read, or not be segmented.
    """
    with reading(path, "a DICOM image", folder=True):
        layers = case_layers(Case(read_series(one, path, progress, later=True)))
    layers[0][1]["metadata"][KEY] |= {"series": tuple(found), "chosen": one}
    return layers


def _told_layers(case: Case) -> list[LayerData]:
    """The layers of a case, with a notice of what is uncommon about it."""
    layers = case_layers(case)
    for note in layers[0][1]["metadata"][KEY]["notes"]:
        warnings.warn(f"{case.volume.name}: {note}", FileNote, stacklevel=2)
    return layers


def write_labels_layer(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write one labels layer; returns the path that was written.

    It has the geometry of the image's file if the metadata holds that of an image of its shape,
    else the place where napari shows it, which comes with a warning.

    Raises
    ------
    FileFormatError
        If the layer is no volume, or the file cannot be written.
    """
    labels = np.asarray(data)
    if labels.ndim not in (2, 3):
        raise FileFormatError(
            f"A labels layer of {labels.ndim} dimensions cannot be saved here; "
            "choose one volume (one time point)."
        )
    world = world_of(meta, labels.ndim)
    labels = labels[np.newaxis] if labels.ndim == 2 else labels
    metadata = meta.get("metadata", {})
    image = labels_in_place(labels, world, metadata)
    known = file_geometry(metadata, labels.shape).get(CLASSES, ())
    write_labels(path, labels, image, classes=classes_of_layer(meta, known))
    for note in image.notes:
        warnings.warn(note, FileNote, stacklevel=2)
    return [path]
