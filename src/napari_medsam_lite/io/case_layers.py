"""A case file as napari's layers: its image, and what a person did to it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.case import Case
from napari_medsam_lite.core.errors import FileFormatError, FileNote, MedSAMLiteError
from napari_medsam_lite.core.label_volume import on_grid_of
from napari_medsam_lite.core.volume import Volume, has_fingerprint
from napari_medsam_lite.io.case_record import CaseRecord
from napari_medsam_lite.io.casefile import labels_fingerprint, load_case
from napari_medsam_lite.io.dicom import find_volumes, read_series
from napari_medsam_lite.io.formats import is_dicom, keeps_place, read_case, read_label_volume
from napari_medsam_lite.io.guard import reading
from napari_medsam_lite.io.layer_place import geometry
from napari_medsam_lite.io.layers import LayerData, boxes_layer, case_layers
from napari_medsam_lite.io.metadata import BOXES, CASE, FINGERPRINT, KEY, LABELS, ROLE


def open_case(
    path: str | Path, image: str | Path | Volume | None = None
) -> tuple[CaseRecord, Volume, NDArray[Any] | None, list[str]]:
    """A case with its image and its labels.

    Parameters
    ----------
    path : path
        A case file.
    image : path or Volume, optional
        Where its image lies by now, or the image itself if it was read before.

    Returns
    -------
    case : CaseRecord
    volume : Volume
        The image; of a DICOM folder the series that the case is of, a long one lazy.
    labels : ndarray or None
        (Z, Y, X) on the image's grid; None if the case has none.
    told : list of str
        What is to be told, a sentence each: labels that were changed since.

    Raises
    ------
    FileFormatError
        If the case or its image cannot be read, or the image is another one.
    """
    case = load_case(path)
    if isinstance(image, Volume):
        volume = image
        check_image_of(case, volume, path)
    else:
        volume = _image_of(case, Path(path), None if image is None else Path(image))
    labels, told = _labels_of(case, Path(path), volume)
    return case, volume, labels, told


def check_image_of(case: CaseRecord, volume: Volume, path: str | Path) -> None:
    """Raise FileFormatError unless `volume` is the image of the case at `path`."""
    wanted = case.image.fingerprint
    if wanted and not has_fingerprint(volume.data, wanted):
        raise FileFormatError(
            f"{Path(path).name} is of another image than {volume.name}: the voxels differ; put the "
            "image that it was made on in that place."
        )


def _image_of(case: CaseRecord, path: Path, image: Path | None) -> Volume:
    if image is None and not case.image.path:
        raise FileFormatError(
            f"{path.name} does not say in which file its image is; name the image's file too."
        )
    image = case.image.beside(path) if image is None else image
    if not image.exists():
        raise FileFormatError(
            f"{path.name} needs its image, {image.name}, which is not there; put it back, or "
            "move the case together with it."
        )
    if not is_dicom(image):
        volume = read_case(image).volume
        check_image_of(case, volume, path)
        return volume
    found = list(_series_in(image))
    for volume in found:
        if not case.image.fingerprint or has_fingerprint(volume.data, case.image.fingerprint):
            return volume
    raise FileFormatError(
        f"{path.name} is of another image than those in {image.name}: the voxels differ."
    )


def _series_in(folder: Path) -> Iterator[Volume]:
    """The volumes of a DICOM folder that can be read, the largest first."""
    with reading(folder, "a DICOM image", folder=True):
        found, _ = find_volumes(folder, [folder])
    for one in found:
        try:
            with reading(folder, "a DICOM image", folder=True):
                yield read_series(one, folder, later=True)
        except MedSAMLiteError:
            continue


def _labels_of(
    case: CaseRecord, path: Path, volume: Volume
) -> tuple[NDArray[Any] | None, list[str]]:
    if not case.labels.path:
        return None, []
    file = case.labels.beside(path)
    if not file.exists():
        return None, [
            f"{path.name}: its labels, {case.labels.path}, are not there; boxes and segments are."
        ]
    read = read_label_volume(file)
    known = case.labels.fingerprint
    if read.shape == volume.shape and known in ("", labels_fingerprint(read.data)):
        return read.data, []
    labels = on_grid_of(read, volume) if keeps_place(file) else read.data
    if labels.shape != volume.shape:
        raise FileFormatError(f"{file.name} does not fit {volume.name}: their shapes differ.")
    changed = f"{file.name} was changed since {path.name} was saved; it is shown as it is now."
    return labels, [] if labels_fingerprint(labels) == known else [changed]


def case_file_layers(path: str | Path) -> list[LayerData]:
    """The image, and on it the labels and the boxes of the case; errors as `open_case`."""
    case, volume, labels, told = open_case(path)
    for note in told:
        warnings.warn(note, FileNote, stacklevel=2)
    return layers_of_case(case, volume, labels)


def layers_of_case(
    case: CaseRecord, volume: Volume, labels: NDArray[Any] | None
) -> list[LayerData]:
    """The layers of what `open_case` gave: image, labels, boxes."""
    layers, flat = case_layers(Case(volume)), volume.shape[0] == 1
    image = layers[0][1]
    own = {name: image[name] for name in image if name in ("scale", "translate", "affine")}
    own |= {"units": image["units"], "axis_labels": image["axis_labels"]}
    known = geometry(volume) | {FINGERPRINT: image["metadata"][KEY][FINGERPRINT]}
    if labels is None:
        labels = np.zeros(volume.shape, np.uint8)
    data = np.array(labels[0] if flat else labels)
    marked = {KEY: known | {ROLE: LABELS, CASE: replace(case, leading=())}}
    layers.append((data, {"name": f"{volume.name} labels", "metadata": marked} | own, "labels"))
    marked = {KEY: known | {ROLE: BOXES}}
    return [*layers, boxes_layer(case.boxes, volume, own | {"metadata": marked})]
