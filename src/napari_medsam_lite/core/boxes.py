"""Boxes in voxels: inclusive corners, in array order."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.errors import PromptError


@dataclass(frozen=True)
class Box2D:
    """A box on one slice: rows y0..y1 and columns x0..x1, both ends inclusive, in voxels."""

    y0: int
    x0: int
    y1: int
    x1: int

    def clip(self, height: int, width: int, axes: str = "yx") -> Box2D:
        """The part of the box that lies in a slice of (height, width) voxels.

        `axes` names rows and columns in messages: "zx" for slices across y.

        Raises
        ------
        PromptError
            If nothing lies inside, or the box is less than two voxels high or wide.
        """
        told = self._in_words(axes)
        if self.y1 <= self.y0 or self.x1 <= self.x0:
            raise PromptError(f"{told} has no area; draw it at least two voxels high and wide.")
        if self.y1 < 0 or self.x1 < 0 or self.y0 >= height or self.x0 >= width:
            raise PromptError(f"{told} lies outside the slice of {height} x {width} voxels.")
        clipped = Box2D(
            max(self.y0, 0), max(self.x0, 0), min(self.y1, height - 1), min(self.x1, width - 1)
        )
        if clipped.y1 <= clipped.y0 or clipped.x1 <= clipped.x0:
            raise PromptError(
                f"{told} touches the slice of {height} x {width} voxels at its edge only."
            )
        return clipped

    @property
    def centre(self) -> tuple[float, float]:
        """(y, x) of its middle, in voxels."""
        return (self.y0 + self.y1) / 2, (self.x0 + self.x1) / 2

    def __str__(self) -> str:
        return self._in_words("yx")

    def _in_words(self, axes: str) -> str:
        return f"The box {axes[1]} {self.x0}..{self.x1}, {axes[0]} {self.y0}..{self.y1}"


@dataclass(frozen=True)
class Box3D:
    """A box in a volume: inclusive voxel corners in array order (z, y, x).

    `key` is the slice (across the axis that is segmented) that the box was drawn on, where
    propagation starts; None means the middle slice, as in the published script.
    """

    z0: int
    y0: int
    x0: int
    z1: int
    y1: int
    x1: int
    key: int | None = None

    def extent(self, axis: int) -> tuple[int, int]:
        """First and last slice across `axis`, inclusive."""
        return self._corners()[axis]

    def key_slice(self, axis: int) -> int:
        """The slice across `axis` that it was drawn on, or the middle one of those it spans."""
        first, last = self.extent(axis)
        return (first + last) // 2 if self.key is None else self.key

    def plane(self, axis: int) -> Box2D:
        """The box as seen on slices across `axis`."""
        (y0, y1), (x0, x1) = (c for a, c in enumerate(self._corners()) if a != axis)
        return Box2D(y0, x0, y1, x1)

    @classmethod
    def from_plane(
        cls, box: Box2D, axis: int, first: int, last: int, key: int | None = None
    ) -> Box3D:
        """The 3D box of a 2D one drawn across `axis`, from slice `first` to `last` inclusive."""
        corners = [(box.y0, box.y1), (box.x0, box.x1)]
        corners.insert(axis, (first, last))
        (z0, z1), (y0, y1), (x0, x1) = corners
        return cls(z0, y0, x0, z1, y1, x1, key)

    def clip(self, shape: tuple[int, int, int], axis: int) -> Box3D:
        """The part of the box inside a volume of `shape`, for slices across `axis`.

        Raises
        ------
        PromptError
            If nothing lies inside, or the box has no area on its slices.
        """
        first, last = self.extent(axis)
        if first > last:
            raise PromptError(f"The box ends at slice {last}, before it starts at slice {first}.")
        if last < 0 or first >= shape[axis]:
            raise PromptError(
                f"The box spans slices {first}..{last}, outside the volume's 0..{shape[axis] - 1}."
            )
        height, width = (n for a, n in enumerate(shape) if a != axis)
        first, last = max(first, 0), min(last, shape[axis] - 1)
        key = None if self.key is None else min(max(self.key, first), last)
        plane = self.plane(axis).clip(height, width, "zyx".replace("zyx"[axis], ""))
        return Box3D.from_plane(plane, axis, first, last, key)

    def _corners(self) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
        return (self.z0, self.z1), (self.y0, self.y1), (self.x0, self.x1)


@dataclass(frozen=True)
class WorldBox:
    """A box in RAS world millimetres: the centres of its first and last voxel.

    x grows to the patient's right, y to the front, z to the head, as in NIfTI and 3D Slicer. The
    corners may be named in any order.
    """

    x0: float
    y0: float
    z0: float
    x1: float
    y1: float
    z1: float

    def in_voxels(self, affine: NDArray[np.float64]) -> Box3D:
        """The box in voxels of a volume whose `affine` maps (z, y, x) to RAS mm in that order."""
        ends = ((self.z0, self.z1), (self.y0, self.y1), (self.x0, self.x1))
        corners = np.array([(*corner, 1.0) for corner in product(*ends)])
        voxels = np.round(corners @ np.linalg.inv(affine).T)[:, :3].astype(int)
        (z0, y0, x0), (z1, y1, x1) = voxels.min(axis=0).tolist(), voxels.max(axis=0).tolist()
        return Box3D(z0, y0, x0, z1, y1, x1)


def tight_box(mask: NDArray[np.bool_]) -> Box2D | None:
    """The smallest box around the true pixels of a (H, W) mask, or None if there are none."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return None
    return Box2D(int(rows[0]), int(columns[0]), int(rows[-1]), int(columns[-1]))


@dataclass(frozen=True)
class KeyBox:
    """A box of a segment, as it was drawn.

    Attributes
    ----------
    number : int
        The segment's.
    axis : int
        That the slices lie across on which it was drawn.
    box : Box3D
        Its `key` is that slice; it reaches further only where the file it came from says so.
    leading : tuple of int
        The volume, of an image of more than three dimensions.
    """

    number: int
    axis: int
    box: Box3D
    leading: tuple[int, ...] = ()

    @property
    def index(self) -> int:
        """The slice that it was drawn on."""
        return self.box.key_slice(self.axis)

    @property
    def corners(self) -> NDArray[np.float64]:
        """(4, 3) corners (z, y, x) of the rectangle, in voxels."""
        flat = self.box.plane(self.axis)
        around = [(flat.y0, flat.x0), (flat.y0, flat.x1), (flat.y1, flat.x1), (flat.y1, flat.x0)]
        return np.insert(np.array(around, float), self.axis, self.index, axis=1)
