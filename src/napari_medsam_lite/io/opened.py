"""A case of a worklist as layers: its image, its boxes, and the labels that it has by now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from napari_medsam_lite.core.boxes import Box3D, WorldBox
from napari_medsam_lite.core.case import Case
from napari_medsam_lite.core.errors import FileFormatError, MedSAMLiteError
from napari_medsam_lite.core.files import is_there
from napari_medsam_lite.core.label_volume import on_grid_of
from napari_medsam_lite.core.volume import Volume, has_fingerprint
from napari_medsam_lite.io.case_layers import layers_of_case, open_case
from napari_medsam_lite.io.dicom import find_volumes, read_series
from napari_medsam_lite.io.formats import is_dicom, read_case, read_label_volume
from napari_medsam_lite.io.guard import reading
from napari_medsam_lite.io.layer_names import classes_to_layer
from napari_medsam_lite.io.layers import LayerData, case_layers
from napari_medsam_lite.io.metadata import CLASSES, KEY, LABELS, ROLE
from napari_medsam_lite.io.runfile import load_run, run_path
from napari_medsam_lite.io.work_case import WorkCase

Progress = Callable[[int, int], None]

PLACE = ("scale", "translate", "affine", "units", "axis_labels")
"""What a layer needs to lie where another does."""


@dataclass(frozen=True, eq=False)
class FoundCase:
    """The image of a case with its boxes.

    Attributes
    ----------
    contents : Case
        The voxels of a long DICOM series are decoded as they are looked at.
    names : tuple of str
        Of the boxes, "" where there is none.
    series : dict
        Of a DICOM folder, all its series and the one that was chosen.
    notes : tuple of str
        What is told of it, a sentence each.
    """

    contents: Case
    names: tuple[str, ...]
    series: dict[str, Any]
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class OpenedCase:
    """What is shown of a case.

    Attributes
    ----------
    case : WorkCase
        Which.
    found : FoundCase
        Its image and boxes.
    layers : list of LayerData
        The image first; then its truth, its boxes and its labels, as far as there are any.
    notes : tuple of str
        What is told of it, a sentence each.
    """

    case: WorkCase
    found: FoundCase
    layers: list[LayerData]
    notes: tuple[str, ...]


def with_labels(case: WorkCase, found: FoundCase) -> OpenedCase:
    """The layers of what was read, with what the case has now: its case file, or labels alone.

    Raises
    ------
    MedSAMLiteError
        If they cannot be read, or are another image's.
    """
    told: list[str] = []
    if is_there(case.case_file):
        record, volume, labels, told = open_case(case.case_file, found.contents.volume)
        layers = layers_of_case(record, volume, labels)
    else:
        layers = case_layers(found.contents, found.names)
        if case.has_labels:
            told += _check_made_on(case, found.contents.volume)
            layers.append(_labels_layer(case, layers[0][1]))
    known = layers[0][1]["metadata"][KEY]
    known |= found.series
    return OpenedCase(case, found, layers, (*found.notes, *known["notes"], *told))


def find_case(case: WorkCase, progress: Progress | None = None) -> FoundCase:
    """Read the image of `case`, of a DICOM folder the largest series that can be read.

    Boxes beside the image count more than those in its file. Each has the slice that it is drawn
    on as its key.

    Parameters
    ----------
    progress : callable, optional
        Called with (slices done, slices in all) where reading takes long; what it raises ends it.

    Raises
    ------
    MedSAMLiteError
        If the image or its boxes cannot be read.
    """
    if is_dicom(case.source):
        contents, series, notes = _dicom(case, progress)
    else:
        contents, series, notes = read_case(case.source), {}, []
    named = case.named_boxes() or [("", box) for box in contents.boxes]
    names, boxes = [name for name, _ in named], [box for _, box in named]
    drawn = [_as_drawn(box, contents.volume) for box in boxes]
    return FoundCase(replace(contents, boxes=drawn), tuple(names), series, tuple(notes))


def _dicom(case: WorkCase, progress: Progress | None) -> tuple[Case, dict[str, Any], list[str]]:
    """The largest series that can be read, all there are, and why larger ones cannot be read."""
    path = case.source
    with reading(path, "a DICOM image", folder=True):
        series, told = find_volumes(path, [path])
    failures: list[MedSAMLiteError] = []
    for one in series:
        try:
            with reading(path, "a DICOM image", folder=True):
                contents = Case(read_series(one, path, progress, later=True))
        except MedSAMLiteError as error:
            failures.append(error)
        else:
            known = {"series": tuple(series), "chosen": one}
            return contents, known, [*told, *map(str, failures)]
    raise failures[0]


def _check_made_on(case: WorkCase, volume: Volume) -> list[str]:
    """What is told if nothing says which image the labels of `case` are of; another is refused."""
    file = run_path(case.labels)
    made_on = load_run(file).fingerprint if is_there(file) else ""
    if not made_on:
        return [f"{case.labels.name} does not say which image it was made on; see that it fits."]
    if not has_fingerprint(volume.data, made_on):
        raise FileFormatError(
            f"{case.labels.name} is of another image than {volume.name}: the voxels differ; "
            "put that image back, or move the labels and their run file away."
        )
    return []


def _labels_layer(case: WorkCase, image: dict[str, Any]) -> LayerData:
    """The case's labels on the voxels of its image, known as the image's own by its fingerprint."""
    known: dict[str, Any] = image["metadata"][KEY]
    labels = read_label_volume(case.labels)
    nothing = np.broadcast_to(np.zeros((), np.uint8), known["shape"])
    grid = Volume(nothing, known["spacing"], known["affine"], image["name"])
    data = on_grid_of(labels, grid)
    mark: dict[str, Any] = {**known, ROLE: LABELS, CLASSES: labels.classes}
    place = {key: image[key] for key in PLACE if key in image}
    look = {"name": f"{image['name']} labels", "metadata": {KEY: mark}, **place}
    flat = known["shape"][0] == 1
    return data[0] if flat else data, look | classes_to_layer(labels.classes), "labels"


def _as_drawn(box: Box3D | WorldBox, volume: Volume) -> Box3D:
    """The box as the dock draws it, on its middle slice: so both ask the network the same."""
    found = box.in_voxels(volume.affine) if isinstance(box, WorldBox) else box
    return found if found.key is not None else replace(found, key=sum(found.extent(0)) // 2)
