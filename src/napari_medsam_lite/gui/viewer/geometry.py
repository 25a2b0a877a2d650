"""napari's images in the engine's words: voxels, slices, and where they lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.components import Dims
from napari.layers import Image, Layer
from numpy.typing import NDArray

from napari_medsam_lite.core.errors import MedSAMLiteError, UnsupportedImageError
from napari_medsam_lite.core.lazy import volume_of
from napari_medsam_lite.core.volume import Source, Volume, check_image
from napari_medsam_lite.io.metadata import KEY

GLANCE_SLICES, GLANCE_ROWS = 16, 128


@dataclass(frozen=True, eq=False)
class Snapshot:
    """An image as it was when the user pressed the button; its voxels are read off the main thread.

    Attributes
    ----------
    data : array
        (Y, X), (Y, X, 3 or 4) if `rgb`, or (..., Z, Y, X); anything that `numpy.asarray` reads.
    spacing : tuple of float
        Voxel size (z, y, x), taken from the layer's transform.
    leading : tuple of int
        Which volume, where the array has more than three dimensions.
    affine, source, modality
        What its reader left in the layer's metadata; see `Volume`.
    """

    data: Any
    spacing: tuple[float, float, float]
    name: str
    rgb: bool
    leading: tuple[int, ...] = ()
    affine: NDArray[np.float64] | None = None
    source: Source | None = None
    modality: str = ""

    @property
    def place(self) -> tuple[Any, ...]:
        """All but the voxels, to compare."""
        return self.spacing, self.name, self.rgb, self.leading

    @property
    def shape(self) -> tuple[int, int, int]:
        """(Z, Y, X) of the volume, one slice of a flat image."""
        if not self.is_volume:
            return 1, *self.data.shape[:2]
        z, y, x = self.data.shape[len(self.leading) :]
        return z, y, x

    @property
    def is_volume(self) -> bool:
        """Whether it has slices."""
        return not self.rgb and len(self.data.shape) - len(self.leading) == 3


@dataclass(frozen=True)
class Plane:
    """What the viewer shows: slice `index` across the data axis `axis`."""

    axis: int
    index: int


def snapshot_of(image: Image, leading: tuple[int, ...] = ()) -> Snapshot:
    """What of `image` the engine needs, without reading voxels.

    Parameters
    ----------
    image : Image
        Of a multiscale one, the finest level is taken.
    leading : tuple of int
        Which volume, of an image of more than three dimensions; see `leading_index`.

    Raises
    ------
    UnsupportedImageError
        If the layer is a colour volume, no numbers, or of more dimensions than `leading` tells.
    """
    name, data = str(image.name), finest(image)
    if image.rgb and image.ndim != 2:
        raise UnsupportedImageError(
            f"{name}: a colour volume cannot be segmented; split it into channels and choose one."
        )
    if not image.rgb:
        check_image(_as_volume(data, leading), name)
    sizes = np.linalg.norm(transform(image)[0], axis=0)[-3:]
    z, y, x = [1.0] * (3 - image.ndim) + [float(s) for s in sizes]
    held = held_by(image)
    affine, source = held.get("affine"), held.get("source")
    return Snapshot(
        data,
        _exact((z, y, x), held.get("spacing")),
        name,
        bool(image.rgb),
        leading,
        affine if isinstance(affine, np.ndarray) and affine.shape == (4, 4) else None,
        source if isinstance(source, Source) else None,
        str(held.get("modality", "")),
    )


def finest(image: Image) -> Any:
    """The array behind `image`; of a multiscale one, that of its finest level."""
    return image.data[0] if image.multiscale else image.data


def _as_volume(data: Any, leading: tuple[int, ...]) -> Any:
    """Something of the volume's shape and type, without reading it."""
    if len(data.shape) == 2:
        return np.broadcast_to(np.zeros((), data.dtype), (1, *data.shape))
    return volume_of(data, leading)


def held_by(layer: Layer) -> dict[str, Any]:
    """What this package keeps in the layer's metadata; the user may have put anything there."""
    held = layer.metadata.get(KEY)
    return held if isinstance(held, dict) else {}


def drop_file_geometry(image: Image) -> None:
    """Forget which file `image` came from, for its voxels are others now.

    Labels are then saved where the layer lies.
    """
    if KEY in image.metadata:
        image.metadata = {name: value for name, value in image.metadata.items() if name != KEY}


def _exact(size: tuple[float, float, float], known: Any) -> tuple[float, float, float]:
    """The spacing of the file where the layer agrees with it: a transform rounds."""
    if known is not None and len(known) == 3 and np.allclose(size, known, rtol=1e-6):
        z, y, x = (float(value) for value in known)
    else:
        z, y, x = (float(f"{value:.9g}") for value in size)
    return z, y, x


def to_volume(snapshot: Snapshot) -> Volume:
    """The volume of an image; a lazy one stays lazy, a 2D image is read as a single slice.

    Raises
    ------
    UnsupportedImageError
        If shape or type do not fit a `Volume`.
    """
    data = volume_of(snapshot.data, snapshot.leading) if snapshot.is_volume else _flat(snapshot)
    affine: Any = snapshot.affine
    place = (snapshot.spacing, affine, snapshot.name, snapshot.source)
    return Volume(data, *place, snapshot.modality)


def _flat(snapshot: Snapshot) -> NDArray[Any]:
    """A 2D image as a stack of one slice, its colours in 8 bits."""
    data = np.asarray(snapshot.data)
    if snapshot.rgb:
        data = data[..., :3]
        if data.dtype.kind == "f":
            data = np.clip(data * 255, 0, 255).astype(np.uint8)
    return data[None]


def glance(image: Image) -> Volume:
    """A coarse copy of an image's volume, read in a moment, to judge how bright it is."""
    first = (0,) * (0 if image.rgb else max(image.ndim - 3, 0))
    volume = to_volume(snapshot_of(image, first))
    z, y, x = volume.sample.shape[:3]
    steps = max(z // GLANCE_SLICES, 1), max(y // GLANCE_ROWS, 1), max(x // GLANCE_ROWS, 1)
    coarse = volume.sample[tuple(slice(None, None, step) for step in steps)]
    return Volume(coarse, modality=volume.modality)


def transform(layer: Layer) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The layer's map from data to world coordinates: (n, n) matrix and (n,) offset."""
    offset = np.asarray(layer.data_to_world(np.zeros(layer.ndim)), float)
    columns = [np.asarray(layer.data_to_world(unit), float) - offset for unit in np.eye(layer.ndim)]
    return np.stack(columns, axis=1), offset


def shown_plane(image: Image, dims: Dims) -> Plane:
    """Which slice of `image` the viewer shows.

    Raises
    ------
    MedSAMLiteError
        If it shows none: 3D display, two other axes, a slider beyond the image, or an image that is
        rotated out of its slices.
    """
    axis = shown_axis(image, dims)
    if image.ndim == 2:
        return Plane(0, 0)
    matrix, offset = transform(image)
    matrix, offset = matrix[-3:, -3:], offset[-3:]
    others = [a for a in range(3) if a != axis]
    leak = max(np.abs(matrix[axis, others]).max(), np.abs(matrix[others, axis]).max())
    if leak > 1e-3 * abs(matrix[axis, axis]):
        raise MedSAMLiteError(
            f"{image.name} is rotated out of the slices that the viewer shows, and napari cannot "
            "draw on those; reset the layer's rotation and affine, or step through another axis."
        )
    point = dims.point[dims.ndim - 3 + axis]
    index = _nearest(point, offset[axis], matrix[axis, axis])
    if not 0 <= index < slice_count(image, axis):
        raise MedSAMLiteError(f"The viewer shows no slice of {image.name}; move the slider to one.")
    return Plane(axis, index)


def leading_index(image: Image, dims: Dims) -> tuple[int, ...]:
    """Which volume of an image of more than three dimensions the viewer shows; else empty.

    Raises
    ------
    MedSAMLiteError
        If a slider stands beyond the image.
    """
    count = 0 if image.rgb else max(image.ndim - 3, 0)
    matrix, offset = transform(image)
    points = dims.point[dims.ndim - image.ndim :]
    index = tuple(_nearest(points[a], offset[a], matrix[a, a]) for a in range(count))
    if not all(0 <= i < n for i, n in zip(index, image.data.shape, strict=False)):
        raise MedSAMLiteError(
            f"The viewer shows no volume of {image.name}; move the sliders to one."
        )
    return index


def _nearest(point: float, offset: float, size: float) -> int:
    return int(np.floor((point - offset) / size + 0.5))


def shown_axis(image: Image, dims: Dims) -> int:
    """The axis of `image`'s volume that the viewer steps through; 0 for a 2D image.

    Raises
    ------
    MedSAMLiteError
        If there is no such axis.
    """
    if dims.ndisplay != 2:
        raise MedSAMLiteError(
            "The viewer shows the volume in 3D; switch to 2D (Ctrl+Y) to work on slices."
        )
    extra = dims.ndim - min(image.ndim, 3)
    hidden = [axis - extra for axis in dims.not_displayed if axis >= extra]
    if len(hidden) != min(image.ndim, 3) - 2:
        raise MedSAMLiteError(
            f"The viewer does not show slices of {image.name}; roll the axes back (Ctrl+E)."
        )
    return hidden[0] if hidden else 0


def slice_count(image: Image, axis: int) -> int:
    """How many slices `image` has across `axis` of its volume."""
    return 1 if image.ndim == 2 else volume_shape(image)[axis]


def volume_shape(image: Image) -> tuple[int, int, int]:
    """(Z, Y, X) of the volume that is segmented; a 2D image is one slice."""
    shape = image.data.shape[: image.ndim]
    z, y, x = (1,) * (3 - image.ndim) + tuple(int(n) for n in shape[-3:])
    return z, y, x


def fits(layer: Layer, image: Image) -> bool:
    """Whether `layer` lies where `image` does, voxel on voxel."""
    if layer.ndim != image.ndim:
        return False
    # Most layers were made with the image's own numbers, which is quickly seen at every press.
    if all(np.array_equal(a, b) for a, b in zip(_numbers(layer), _numbers(image), strict=True)):
        return True
    mine, theirs = transform(layer), transform(image)
    return all(np.allclose(a, b) for a, b in zip(mine, theirs, strict=True))


def _numbers(layer: Layer) -> tuple[Any, ...]:
    """What a layer's transform is made of."""
    matrix = layer.affine.affine_matrix
    return layer.scale, layer.translate, layer.rotate, layer.shear, matrix


def place_of(image: Image) -> dict[str, Any]:
    """What puts a new layer where `image` is, voxel on voxel."""
    return {
        "scale": image.scale,
        "translate": image.translate,
        "rotate": image.rotate,
        "shear": image.shear,
        "affine": image.affine.affine_matrix,
        "units": image.units,
        "axis_labels": image.axis_labels,
    }
