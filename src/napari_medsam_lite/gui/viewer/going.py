"""Going to a slice: the viewer steps through its axis then, and shows it."""

from __future__ import annotations

import numpy as np
from napari.components import Dims
from napari.layers import Image

from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.gui.viewer.geometry import Plane, shown_axis, shown_plane


def show_slice(image: Image, dims: Dims, plane: Plane) -> None:
    """Show slice `plane.index` across data axis `plane.axis` of `image`.

    The axes are left as they are if that one is stepped through already.

    Raises
    ------
    MedSAMLiteError
        If the image is rotated out of its slices.
    """
    if image.ndim == 2:
        return
    dims.ndisplay = 2
    if not _steps_through(image, dims, plane.axis):
        extra = dims.ndim - 3
        others = [axis for axis in range(3) if axis != plane.axis]
        dims.order = (*range(extra), *(extra + axis for axis in (plane.axis, *others)))
    corner = np.zeros(image.ndim)
    corner[plane.axis - 3] = plane.index
    place = image.data_to_world(corner)[plane.axis - 3]
    dims.set_point(dims.ndim - 3 + plane.axis, place)
    shown_plane(image, dims)


def _steps_through(image: Image, dims: Dims, axis: int) -> bool:
    try:
        return shown_axis(image, dims) == axis
    except MedSAMLiteError:
        return False
