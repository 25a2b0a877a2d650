"""The image that is segmented, with its place in the world."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.errors import UnsupportedImageError
from napari_medsam_lite.core.lazy import LazyVoxels

GRID, WHOLE_SLICES = 8, 8
SAMPLED_SLICES = 5


@dataclass(frozen=True, eq=False)
class Source:
    """Where a volume was read from, and what a writer needs to give labels its exact geometry.

    Parameters
    ----------
    path : Path
        The file.
    header : object, optional
        The file format's own header, as its reader made it; only its writer looks inside.
    files : tuple of Path
        Where `path` is not the only file, or a folder: all that were read.
    """

    path: Path
    header: Any = None
    files: tuple[Path, ...] = ()


@dataclass(frozen=True, eq=False)
class Volume:
    """A scalar volume, or one colour image as a volume of a single slice.

    Parameters
    ----------
    data : ndarray or LazyVoxels
        (Z, Y, X) numbers (HU for CT, counts for MR, 0..255 for 8-bit), or (1, Y, X, 3) uint8 for
        one colour image. Of `LazyVoxels` no more is read than what is asked for.
    spacing : tuple of float
        Voxel size in mm in the order (z, y, x).
    affine : ndarray, optional
        (4, 4) float64 from array index (z, y, x, 1) to RAS world millimetres, also in the order
        (z, y, x, 1). Default: spacing on the diagonal.
    name : str
        For messages and file names.
    source : Source, optional
        Set by readers. A volume without one has no known place in the body, whatever its affine.
    modality : str
        As DICOM abbreviates it ("CT", "MR", "PT", ...); empty if it is not known.
    window : tuple of float, optional
        The file's own window: level and width, in the units of the voxels.
    notes : tuple of str
        What a reader tells of the file, a sentence each, with what was done about it.

    Raises
    ------
    UnsupportedImageError
        If the shape, the type or the spacing is not one of these.
    """

    data: NDArray[Any] | LazyVoxels
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    affine: NDArray[np.float64] = None  # type: ignore[assignment]
    name: str = "image"
    source: Source | None = None
    modality: str = ""
    window: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_image(self.data, self.name)
        spacing = tuple(float(s) for s in self.spacing)
        if len(spacing) != 3 or not all(np.isfinite(s) and s > 0 for s in spacing):
            raise UnsupportedImageError(
                f"{self.name}: the voxel spacing must be three positive numbers, "
                f"not {self.spacing}."
            )
        object.__setattr__(self, "spacing", spacing)
        affine: Any = self.affine
        if affine is None:
            object.__setattr__(self, "affine", np.diag([*spacing, 1.0]))

    @property
    def shape(self) -> tuple[int, int, int]:
        """(Z, Y, X), without colour."""
        z, y, x = self.data.shape[:3]
        return z, y, x

    @property
    def is_colour(self) -> bool:
        """Whether this is one colour image."""
        return self.data.ndim == 4

    @property
    def is_lazy(self) -> bool:
        """Whether the voxels are read only as they are needed."""
        return isinstance(self.data, LazyVoxels)

    def plane_shape(self, axis: int) -> tuple[int, int]:
        """(H, W) of the slices across `axis`."""
        h, w = (n for a, n in enumerate(self.shape) if a != axis)
        return h, w

    def slices(self, axis: int, indices: list[int]) -> NDArray[Any]:
        """The slices `indices` across `axis` as (B, H, W) or (B, H, W, 3), values as stored.

        Raises
        ------
        UnsupportedImageError
            If the axis does not exist.
        """
        if axis not in (0, 1, 2) or (self.is_colour and axis != 0):
            raise UnsupportedImageError(f"{self.name}: there are no slices across axis {axis}.")
        if isinstance(self.data, LazyVoxels):
            return np.stack([self.data.plane(axis, i) for i in indices])
        planes = np.moveaxis(self.data, axis, 0)
        return np.stack([np.asarray(planes[i]) for i in indices])

    @cached_property
    def sample(self) -> NDArray[Any]:
        """The voxels that tell how bright the image is: all, or of a lazy one some inner slices."""
        if isinstance(self.data, LazyVoxels):
            indices = _inner(len(self.data), SAMPLED_SLICES)
            return np.stack([self.data[index] for index in indices])
        return self.data

    @cached_property
    def extremes(self) -> tuple[Any, Any]:
        """The lowest and the highest voxel of `sample`, as numpy numbers; NaN if there is a NaN."""
        lows, highs = zip(*((plane.min(), plane.max()) for plane in self.sample), strict=True)
        return np.min(lows), np.max(highs)

    @property
    def fingerprint(self) -> str:
        """Tells images apart by what they hold, whatever their names; see `fingerprint_of`."""
        return fingerprint_of(self.data)


def has_fingerprint(data: Any, fingerprint: str) -> bool:
    """Whether `data` is the image of that fingerprint, which may be that of slices read later."""
    if fingerprint == fingerprint_of(data):
        return True
    if isinstance(data, np.ndarray):
        return fingerprint == fingerprint_of(data, in_memory=False)
    return fingerprint == fingerprint_of(np.stack([np.asarray(plane) for plane in data]))


def fingerprint_of(data: Any, in_memory: bool | None = None) -> str:
    """A hash of an image's shape, type and voxels, in some 30 ms for 300 MB.

    An image is known by what it holds. Read from a file as a whole or slice by slice it has two
    fingerprints, for of the latter less is looked at.

    Every slice has a share in it by one voxel in 64, and eight evenly spaced slices by all of
    theirs: enough to tell two scans apart, and quick enough for the main thread. Of an array that
    is not in memory only three slices inside are read: those at the ends are often padding.

    Parameters
    ----------
    data : array
        (Z, Y, X), or (Z, Y, X, 3); anything with a shape whose slices `numpy.asarray` reads.
    in_memory : bool, optional
        Whether all voxels may be looked at; default if it is a numpy array.
    """
    digest = hashlib.blake2b(repr((tuple(data.shape), np.dtype(data.dtype).str)).encode())
    in_memory = isinstance(data, np.ndarray) if in_memory is None else in_memory
    if in_memory:
        digest.update(np.ascontiguousarray(data[:, ::GRID, ::GRID]).data)
    count = len(data)
    if in_memory:
        indices = np.linspace(0, count - 1, min(count, WHOLE_SLICES)).astype(int).tolist()
    else:
        indices = _inner(count, 3)
    for index in dict.fromkeys(indices):
        digest.update(np.ascontiguousarray(np.asarray(data[index])).data)
    return digest.hexdigest()[:32]


def _inner(count: int, wanted: int) -> list[int]:
    """Up to `wanted` evenly spaced slices of `count`, none at the ends, which are often padding."""
    indices = np.linspace(0, count - 1, wanted + 2)[1:-1].astype(int)
    return list(dict.fromkeys(indices.tolist()))


def check_image(data: Any, name: str = "image") -> None:
    """Raise UnsupportedImageError unless `data` can be a `Volume` (shape and type; not values)."""
    shape, dtype = tuple(data.shape), np.dtype(data.dtype)
    if dtype.kind not in "iufb":
        raise UnsupportedImageError(
            f"{name}: the voxels are of type {dtype}; integers or real numbers are needed."
        )
    if len(shape) == 4 and shape[0] == 1 and shape[3] == 3 and dtype == np.uint8:
        return
    if len(shape) != 3:
        raise UnsupportedImageError(
            f"{name}: an image of {len(shape)} dimensions {shape} cannot be segmented; "
            "choose one 3D volume (one time point, one channel)."
        )
    if 0 in shape:
        raise UnsupportedImageError(f"{name}: the image is empty (shape {shape}).")


def check_finite(volume: Volume) -> None:
    """Raise UnsupportedImageError if `volume` holds NaN or infinite voxels.

    A lazy volume is not read for that: its slices are checked as they come.
    """
    if volume.is_lazy or volume.data.dtype.kind != "f":
        return
    if not np.isfinite(volume.extremes).all():
        raise UnsupportedImageError(
            f"{volume.name}: the image holds NaN or infinite voxels; replace them, for example "
            "with the value of air, and try again."
        )
