"""Where napari shows a volume, and where in the body the labels of a layer lie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.io.affine import spacing_of, swap_axis_order
from napari_medsam_lite.io.metadata import KEY

_LPS = np.diag([1.0, -1.0, -1.0, 1.0])  # RAS (z, y, x) to LPS, and back
_STRAIGHT = 1e-3  # of a voxel: less rotation than this is rounding in the file
_NOT_KNOWN = (
    "The image does not tell which way the patient lies: the file says what napari shows, its axes "
    "taken to go to the head, to the back and to the left, in mm."
)


def geometry(volume: Volume) -> dict[str, Any]:
    """Describe the place of a volume for a layer's ``metadata["medsam_lite"]``.

    A labels layer with a copy of it is saved with the image file's exact geometry.
    """
    return {
        "shape": volume.shape,
        "spacing": volume.spacing,
        "affine": volume.affine,
        "source": volume.source,
    }


def place(volume: Volume, *, flat: bool) -> dict[str, Any]:
    """Place a layer in the LPS world.

    Oblique volumes, and those whose slices are not axial, are shown as stored, by spacing alone:
    napari cannot slice and paint across rotated axes. Their exact place is in the metadata.
    """
    axes = ("y", "x") if flat else ("z", "y", "x")
    shared: dict[str, Any] = {"units": ("mm",) * len(axes), "axis_labels": axes}
    affine = _LPS @ volume.affine
    linear = affine[:3, :3]
    off_axis = np.abs(linear - np.diag(np.diag(linear))).max()
    if off_axis > _STRAIGHT * min(volume.spacing) or flat:
        return shared | {"scale": volume.spacing[1:] if flat else volume.spacing}
    if (np.diag(linear) > 0).all():
        return shared | {"scale": tuple(np.diag(linear)), "translate": tuple(affine[:3, 3])}
    straight = np.diag(np.diag(affine))
    straight[:3, 3] = affine[:3, 3]
    return shared | {"affine": straight}


def labels_in_place(
    labels: NDArray[Any], world: NDArray[np.float64], metadata: Mapping[str, Any]
) -> Volume:
    """Labels where they lie in the body, as far as their layer tells.

    Parameters
    ----------
    labels : ndarray
        (Z, Y, X) whole numbers.
    world : ndarray
        (4, 4) from the index (z, y, x, 1) to where napari shows the voxel.
    metadata : mapping
        Of the layer, or of the image that the labels lie on.

    Returns
    -------
    Volume
        With the place that the image's reader left in the metadata, ours or napari-nifti's. If
        none did, with `world` as the place, and a note that it is taken for one.
    """
    known = file_geometry(metadata, labels.shape)
    if known:
        z, y, x = (float(size) for size in known["spacing"])
        return Volume(labels, (z, y, x), known["affine"], "labels", known.get("source"))
    affine = _of_napari_nifti(metadata, world)
    if affine is not None:
        return Volume(labels, spacing_of(affine), affine, "labels")
    affine = _LPS @ world
    return Volume(labels, spacing_of(affine), affine, "labels", notes=(_NOT_KNOWN,))


def file_geometry(metadata: Mapping[str, Any], shape: tuple[int, ...]) -> dict[str, Any]:
    """What `geometry` left in a layer's metadata, or nothing.

    The dock marks its labels there too, also on an image that no reader of ours opened. And an
    image's data may have been replaced since its file was read.
    """
    held = metadata.get(KEY)
    if not isinstance(held, dict) or not {"affine", "spacing"} <= held.keys():
        return {}
    return held if tuple(held.get("shape", shape)) == shape else {}


def world_of(meta: Mapping[str, Any], ndim: int) -> NDArray[np.float64]:
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


def _of_napari_nifti(
    metadata: Mapping[str, Any], world: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """The affine (z, y, x) to RAS of a layer that napari-nifti opened; None for any other.

    It is in the metadata alone: the layer itself is turned over about its middle, so that slices
    are shown as radiologists see them.
    """
    affine = np.asarray(metadata.get("affine", ()))
    if metadata.get("coordinate_system") != "RAS+" or affine.shape != (4, 4):
        return None
    turned = swap_axis_order(affine.astype(np.float64))
    same = np.allclose(spacing_of(turned), spacing_of(world), rtol=1e-4)
    return turned if same else None
