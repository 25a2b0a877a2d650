"""What napari calls: readers, the labels writer and the sample data, as plain functions.

In napari, images read here lie in the LPS world of CT: millimetres, axes (z, y, x), z to the head,
y to the patient's back, x to the patient's left, so that slices look as radiologists see them. The
exact geometry of the file travels in ``metadata["medsam_lite"]`` and goes into saved labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.case import Case
from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.core.window import CTWindow
from napari_medsam_lite.io.formats import SUFFIXES, read_case, write_labels
from napari_medsam_lite.io.npz import is_case

KEY = "medsam_lite"
LayerData = tuple[Any, dict[str, Any], str]
Reader = Callable[[str | Sequence[str]], list[LayerData]]

_LPS = np.diag([1.0, -1.0, -1.0, 1.0])  # RAS (z, y, x) to LPS, and back
_STRAIGHT = 1e-3  # of a voxel: less rotation than this is rounding in the file
_ABDOMEN = CTWindow(40, 400)
_CT_BELOW = -200  # only CT has voxels below this


def get_reader(path: str | Sequence[str]) -> Reader | None:
    """Give napari a reader for our files, None for all others; opens nothing but an npz's index."""
    paths = [path] if isinstance(path, str) else list(path)
    for name in map(str, paths):
        known = name.lower().endswith(SUFFIXES)
        if not known or (name.lower().endswith(".npz") and not is_case(name)):
            return None
    return read_layers if paths else None


def read_layers(path: str | Sequence[str]) -> list[LayerData]:
    """Read each file as an image layer, with its truth as a hidden labels layer.

    Raises
    ------
    MedSAMLiteError
        If a file cannot be read, or its image not be segmented.
    """
    paths = [path] if isinstance(path, str) else path
    return [layer for name in paths for layer in case_layers(read_case(name))]


def case_layers(case: Case, names: Sequence[str] = ()) -> list[LayerData]:
    """Make the layers of a case: its image and, hidden, its truth.

    Parameters
    ----------
    case : Case
        A volume of one slice becomes a 2D layer.
    names : sequence of str
        Of the boxes.
    """
    volume = case.volume
    flat = volume.shape[0] == 1
    shared = _place(volume, flat=flat)
    shared["metadata"] = {KEY: geometry(volume) | {"boxes": case.boxes, "names": list(names)}}
    look: dict[str, Any] = {"name": volume.name, "rgb": volume.is_colour}
    if not volume.is_colour:
        look |= {"colormap": "gray"} | _contrast(volume.data)
    layers: list[LayerData] = [(volume.data[0] if flat else volume.data, look | shared, "image")]
    if case.gts is not None:
        truth = {"name": f"{volume.name} truth", "visible": False} | shared
        layers.append((case.gts[0] if flat else case.gts, truth, "labels"))
    return layers


def geometry(volume: Volume) -> dict[str, Any]:
    """Describe the place of a volume for a layer's ``metadata["medsam_lite"]``.

    A labels layer with a copy of it is saved with the image file's exact geometry.
    """
    return {"spacing": volume.spacing, "affine": volume.affine, "source": volume.source}


def write_labels_layer(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write one labels layer; returns the path that was written.

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
    flat = labels.ndim == 2
    known = meta.get("metadata", {}).get(KEY)
    affine = known["affine"] if known else _LPS @ _world(meta, labels.ndim)
    spacing = known["spacing"] if known else np.linalg.norm(affine[:3, :3], axis=0)
    labels = labels[np.newaxis] if flat else labels
    z, y, x = (float(s) for s in spacing)
    space = Volume(labels, (z, y, x), affine, "labels", known["source"] if known else None)
    write_labels(path, labels, space)
    return [path]


def _contrast(data: NDArray[Any]) -> dict[str, Any]:
    """Contrast limits of a CT or of 8 bits; for anything else napari finds its own."""
    if data.dtype == np.uint8:
        return {"contrast_limits": (0, 255)}
    if data.min() < _CT_BELOW:
        half = _ABDOMEN.width / 2
        return {"contrast_limits": (_ABDOMEN.level - half, _ABDOMEN.level + half)}
    return {}


def _place(volume: Volume, *, flat: bool) -> dict[str, Any]:
    """Place a layer in the LPS world.

    Oblique volumes, and those whose slices are not axial, are shown as stored, by spacing alone:
    napari cannot slice and paint across rotated axes. Their exact place is in the metadata.
    """
    affine = _LPS @ volume.affine
    linear = affine[:3, :3]
    off_axis = np.abs(linear - np.diag(np.diag(linear))).max()
    if off_axis > _STRAIGHT * min(volume.spacing) or flat:
        return {"scale": volume.spacing[1:] if flat else volume.spacing}
    if (np.diag(linear) > 0).all():
        return {"scale": tuple(np.diag(linear)), "translate": tuple(affine[:3, 3])}
    straight = np.diag(np.diag(affine))
    straight[:3, 3] = affine[:3, 3]
    return {"affine": straight}


def _world(meta: dict[str, Any], ndim: int) -> NDArray[np.float64]:
    """The (4, 4) data-to-world matrix of a layer, from what napari hands to writers."""
    shear = np.asarray(meta.get("shear", np.zeros(0)), float)
    if shear.ndim == 1:  # napari's short form: the upper triangle, row by row
        upper = np.eye(ndim)
        upper[np.triu_indices(ndim, 1)] = shear if shear.size else 0
        shear = upper
    inner = np.eye(ndim + 1)
    rotate = np.asarray(meta.get("rotate", np.eye(ndim)), float)
    inner[:ndim, :ndim] = rotate @ shear @ np.diag(meta.get("scale", np.ones(ndim)))
    inner[:ndim, ndim] = meta.get("translate", np.zeros(ndim))
    world = np.asarray(meta.get("affine", np.eye(ndim + 1)), float) @ inner
    whole = np.eye(4)
    whole[3 - ndim :, 3 - ndim :] = world
    return whole
