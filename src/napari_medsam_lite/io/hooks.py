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
from numpy.typing import NDArray

from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.case import Case
from napari_medsam_lite.core.errors import FileFormatError, FileNote, MedSAMLiteError
from napari_medsam_lite.core.label_volume import LabelVolume
from napari_medsam_lite.core.segmentation import number_names
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.core.window import CTWindow
from napari_medsam_lite.io.affine import orientation_of
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
from napari_medsam_lite.io.layer_names import classes_of_layer, classes_to_layer
from napari_medsam_lite.io.layer_place import (
    file_geometry,
    geometry,
    labels_in_place,
    place,
    world_of,
)
from napari_medsam_lite.io.metadata import CLASSES, KEY

if TYPE_CHECKING:
    from napari_medsam_lite.io.dicom_pixels import Progress
    from napari_medsam_lite.io.dicom_series import Series

LayerData = tuple[Any, dict[str, Any], str]
Reader = Callable[[str | Sequence[str]], list[LayerData]]

_ABDOMEN = CTWindow(40, 400)
_CT_BELOW = -200  # only CT has voxels below this
_ASLANT = (
    "Its slices lie aslant in the body: they are shown as stored, straight, and what is saved goes "
    "where they really lie."
)


def get_reader(path: str | Sequence[str]) -> Reader | None:
    """Give napari a reader for our files, None for others; looks at an npz's index only."""
    paths = [path] if isinstance(path, str) else list(path)
    return read_layers if paths and all(map(is_ours, paths)) else None


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
        if holds_labels(name):
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


def case_layers(case: Case, names: Sequence[str] = ()) -> list[LayerData]:
    """Make the layers of a case: its image, its truth (hidden) and its boxes.

    Parameters
    ----------
    case : Case
        A volume of one slice becomes 2D layers.
    names : sequence of str
        Of the boxes.
    """
    volume = case.volume
    flat = volume.shape[0] == 1
    shared = place(volume, flat=flat)
    aslant = orientation_of(volume.affine)[1] and not flat
    notes = (*volume.notes, _ASLANT) if aslant else volume.notes
    known = geometry(volume) | {
        "fingerprint": volume.fingerprint,
        "modality": volume.modality,
        "window": volume.window,
        "notes": notes,
    }
    shared["metadata"] = {KEY: known | {"boxes": case.boxes, "names": list(names)}}
    look: dict[str, Any] = {"name": volume.name, "rgb": volume.is_colour}
    if not volume.is_colour:
        look |= {"colormap": "gray"} | _contrast(volume)
    layers: list[LayerData] = [(volume.data[0] if flat else volume.data, look | shared, "image")]
    if case.gts is not None:
        truth = {"name": f"{volume.name} truth", "visible": False} | shared
        layers.append((case.gts[0] if flat else case.gts, truth, "labels"))
    if case.boxes:
        layers.append(_boxes_layer(case.boxes, names, volume, shared))
    return layers


def labels_layer(labels: LabelVolume) -> LayerData:
    """Make a labels layer with the names and colours that the labels were read with."""
    flat = labels.shape[0] == 1
    known = geometry(labels) | {CLASSES: labels.classes}
    look = {"name": labels.name, "metadata": {KEY: known}} | classes_to_layer(labels.classes)
    return labels.data[0] if flat else labels.data, look | place(labels, flat=flat), "labels"


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


def _boxes_layer(
    boxes: Sequence[Box3D], names: Sequence[str], volume: Volume, shared: dict[str, Any]
) -> LayerData:
    """A rectangle a box on the slice where propagation starts; boxes of one name share a label."""
    flat = volume.shape[0] == 1
    known = [names[row] if row < len(names) else "" for row in range(len(boxes))]
    extents = [box.extent(0) for box in boxes]
    look = {
        "name": f"{volume.name} boxes",
        "ndim": 2 if flat else 3,
        "shape_type": "rectangle",
        "edge_color": "yellow",
        "face_color": "transparent",
        # In voxels: napari's own 1, or more where that would hardly be seen.
        "edge_width": max(1.0, max(volume.shape[1:]) / 300),
        "features": {
            "label": number_names(known),
            "name": known,
            "first": [first for first, _ in extents],
            "last": [last for _, last in extents],
        },
    }
    return [_rectangle(box, flat=flat) for box in boxes], look | shared, "shapes"


def _rectangle(box: Box3D, *, flat: bool) -> NDArray[np.float64]:
    """The (4, 3) corners of a box, or (4, 2) on a 2D image."""
    plane = box.plane(0)
    corners = np.array(
        [(plane.y0, plane.x0), (plane.y0, plane.x1), (plane.y1, plane.x1), (plane.y1, plane.x0)],
        float,
    )
    key = sum(box.extent(0)) // 2 if box.key is None else box.key
    return corners if flat else np.insert(corners, 0, key, axis=1)


def _contrast(volume: Volume) -> dict[str, Any]:
    """The file's own window, or that of a CT or of 8 bits; napari finds one for anything else."""
    level_width = volume.window
    if level_width is None and volume.data.dtype == np.uint8:
        return {"contrast_limits": (0, 255)}
    if level_width is None and _may_be_ct(volume):
        level_width = (_ABDOMEN.level, _ABDOMEN.width)
    if level_width is None:
        return {}
    level, width = level_width
    return {"contrast_limits": (level - width / 2, level + width / 2)}


def _may_be_ct(volume: Volume) -> bool:
    return volume.modality == "CT" or (
        volume.modality == "" and bool(volume.extremes[0] < _CT_BELOW)
    )
