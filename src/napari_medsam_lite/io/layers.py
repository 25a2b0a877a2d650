"""Cases and labels as napari's layers, in the LPS world of CT."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from napari_medsam_lite.core.boxes import KeyBox
from napari_medsam_lite.core.case import Case
from napari_medsam_lite.core.label_volume import LabelVolume
from napari_medsam_lite.core.segmentation import number_names
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.core.window import CTWindow
from napari_medsam_lite.io.affine import orientation_of
from napari_medsam_lite.io.layer_names import classes_to_layer
from napari_medsam_lite.io.layer_place import geometry, place
from napari_medsam_lite.io.metadata import CLASSES, KEY

LayerData = tuple[Any, dict[str, Any], str]

_ABDOMEN = CTWindow(40, 400)
_CT_BELOW = -200  # only CT has voxels below this
_ASLANT = (
    "Its slices lie aslant in the body: they are shown as stored, straight, and what is saved goes "
    "where they really lie."
)


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
        titles = [names[row] if row < len(names) else "" for row in range(len(case.boxes))]
        drawn = [
            KeyBox(number, 0, box)
            for number, box in zip(number_names(titles), case.boxes, strict=True)
        ]
        first, last = zip(*(box.extent(0) for box in case.boxes), strict=True)
        features = {"name": titles, "first": list(first), "last": list(last)}
        layers.append(boxes_layer(drawn, volume, shared | {"features": features}))
    return layers


def labels_layer(labels: LabelVolume) -> LayerData:
    """Make a labels layer with the names and colours that the labels were read with."""
    flat = labels.shape[0] == 1
    known = geometry(labels) | {CLASSES: labels.classes}
    look = {"name": labels.name, "metadata": {KEY: known}} | classes_to_layer(labels.classes)
    return labels.data[0] if flat else labels.data, look | place(labels, flat=flat), "labels"


def boxes_layer(drawn: Sequence[KeyBox], volume: Volume, shared: Mapping[str, Any]) -> LayerData:
    """Make a boxes layer: a rectangle a box, on the slice that it was drawn on.

    `shared` is where the layer lies, and more of it.
    """
    flat = volume.shape[0] == 1
    ends = np.array([b.box.extent(b.axis) for b in drawn], int).reshape(-1, 2)
    # A box on one slice does not say how far the thing reaches.
    ends[ends[:, 0] == ends[:, 1]] = -1
    features = {"label": [b.number for b in drawn], "first": ends[:, 0], "last": ends[:, 1]}
    look = {
        "name": f"{volume.name} boxes",
        "ndim": 2 if flat else 3,
        "shape_type": "rectangle",
        "edge_color": "yellow",
        "face_color": "transparent",
        # In voxels: napari's own 1, or more where that would hardly be seen.
        "edge_width": max(1.0, max(volume.shape[1:]) / 300),
    }
    features |= dict(shared.get("features", {}))
    corners = [b.corners[:, 1:] if flat else b.corners for b in drawn]
    return corners, {**look, **shared, "features": features}, "shapes"


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
