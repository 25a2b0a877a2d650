"""Labels with their place in the world, and what their numbers stand for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.errors import UnsupportedImageError
from napari_medsam_lite.core.labelset import LabelClass, color_of
from napari_medsam_lite.core.volume import Volume

_ON_GRID = 1e-2
"""How far, in voxels, the places of two grids may lie apart and still be taken for the same."""


@dataclass(frozen=True, eq=False)
class LabelVolume(Volume):
    """A volume of label numbers, 0 for background.

    Parameters
    ----------
    classes : tuple of LabelClass
        What numbers stand for, as far as it is known; also of numbers that have no voxel.

    Raises
    ------
    UnsupportedImageError
        If the voxels are no whole numbers; else as `Volume`.
    """

    data: NDArray[Any]
    classes: tuple[LabelClass, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.data.dtype.kind not in "iu":
            raise UnsupportedImageError(
                f"{self.name}: the voxels are of type {self.data.dtype}; labels are whole numbers."
            )

    @classmethod
    def of(cls, volume: Volume, classes: tuple[LabelClass, ...] = ()) -> LabelVolume:
        """The labels that a reader found as a plain volume."""
        place = (volume.spacing, volume.affine, volume.name, volume.source)
        return cls(np.asarray(volume.data), *place, notes=volume.notes, classes=classes)


def classes_in(labels: NDArray[Any], classes: Iterable[LabelClass]) -> tuple[LabelClass, ...]:
    """A class for each number that has a voxel, in order: that of `classes`, or a plain one.

    Parameters
    ----------
    labels : ndarray
        (Z, Y, X) integers.
    """
    known = {each.number: each for each in classes}
    there: set[int] = set()
    for plane in labels:  # what is sorted for it fits into the processor's cache
        there.update(np.unique(plane).tolist())
    return tuple(
        known.get(number) or LabelClass(number, f"label {number}", color_of(number))
        for number in sorted(there - {0})
    )


def told_overlap(voxels: int) -> str:
    """The sentence about segments that share voxels, of which labels hold one each."""
    return f"Segments overlap in {voxels} voxels; there the later one is kept."


def on_grid_of(labels: LabelVolume, image: Volume) -> NDArray[Any]:
    """The labels on the voxels of `image`, which may run along other axes or reach further.

    Both grids must have their voxels in the same places of the world, so that nothing is
    resampled. Labels outside the image are only allowed to be background.

    Returns
    -------
    ndarray
        Of the shape of `image` and the type of the labels.

    Raises
    ------
    UnsupportedImageError
        If the voxels do not coincide, or labelled voxels lie outside.
    """
    steps, apart = steps_between(labels, image)
    turn = steps[:3, :3]
    is_turn = np.array_equal(np.abs(turn).sum(axis=0), [1, 1, 1]) and abs(np.linalg.det(turn)) == 1
    if apart > _ON_GRID * min(image.spacing) or not is_turn:
        raise UnsupportedImageError(
            f"{labels.name}: the labels do not lie on the voxels of {image.name}; they belong to "
            "another image, or must be resampled first."
        )
    return _placed(labels, image.shape, turn.astype(int), steps[:3, 3].astype(int))


def steps_between(labels: Volume, image: Volume) -> tuple[NDArray[np.float64], float]:
    """From the index of one volume to that of another, in whole steps, and what these leave out.

    Returns
    -------
    steps : ndarray
        (4, 4) whole numbers, from the index (z, y, x, 1) of `labels` to that of `image`.
    apart : float
        How far in mm a corner of `labels` lies from where the steps lead.
    """
    steps = np.rint(np.linalg.inv(image.affine) @ labels.affine)
    steps[3] = 0, 0, 0, 1
    corners = np.array([[*index, 1] for index in np.ndindex(2, 2, 2)], np.float64)
    corners[:, :3] *= np.subtract(labels.shape, 1)
    differences = (corners @ (labels.affine - image.affine @ steps).T)[:, :3]
    return steps, float(np.linalg.norm(differences, axis=1).max())


def _placed(
    labels: LabelVolume,
    shape: tuple[int, int, int],
    turn: NDArray[np.int_],
    offset: NDArray[np.int_],
) -> NDArray[Any]:
    """Turn the array to the image's axes, then take and give the part that both have."""
    axes = np.abs(turn).argmax(axis=1)
    signs = turn.sum(axis=1)
    turned = np.transpose(labels.data, axes)
    start = [
        int(begin if sign > 0 else begin - (length - 1))
        for begin, sign, length in zip(offset, signs, turned.shape, strict=True)
    ]
    turned = turned[tuple(slice(None, None, int(sign)) for sign in signs)]
    here = tuple(
        slice(max(begin, 0), min(begin + length, size))
        for begin, length, size in zip(start, turned.shape, shape, strict=True)
    )
    there = tuple(
        slice(part.start - begin, max(part.stop - begin, 0))
        for part, begin in zip(here, start, strict=True)
    )
    inside = turned[there]
    if np.count_nonzero(inside) != np.count_nonzero(turned):
        raise UnsupportedImageError(
            f"{labels.name}: labelled voxels lie outside the image; it is another one."
        )
    placed = np.zeros(shape, labels.data.dtype)
    if inside.size:
        placed[here] = inside
    return placed
