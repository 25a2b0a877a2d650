"""A canvas in millimetres to draw solids on, and the level functions of solids.

A level function is below 1 inside a solid, 1 on its surface and above 1 outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Level = NDArray[Any]
Region = tuple[slice, slice, slice]
Range = tuple[float, float]
EVERYWHERE: Range = (-np.inf, np.inf)


@dataclass(frozen=True, eq=False)
class Canvas:
    """A picture in the making, or a part of one.

    Parameters
    ----------
    hu : ndarray
        (Z, Y, X) float32.
    truth : ndarray
        (Z, Y, X) uint8, the organ of each voxel.
    z, y, x : ndarray
        (Z, 1, 1), (1, Y, 1), (1, 1, X) float32: where the voxels are, in mm.
    rng : numpy.random.Generator
        Source of all randomness.
    region : tuple of slice
        Which part of the whole picture this is.
    """

    hu: NDArray[np.float32]
    truth: NDArray[np.uint8]
    z: NDArray[np.float32]
    y: NDArray[np.float32]
    x: NDArray[np.float32]
    rng: np.random.Generator
    region: Region = (slice(None), slice(None), slice(None))

    @classmethod
    def blank(
        cls, shape: tuple[int, int, int], spacing: tuple[float, float, float], hu: float, seed: int
    ) -> Canvas:
        """Make an empty picture whose middle is the origin."""
        axes = [
            ((np.arange(n) - (n - 1) / 2) * s).astype(np.float32)
            for n, s in zip(shape, spacing, strict=True)
        ]
        z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
        rng = np.random.default_rng(seed)
        return cls(np.full(shape, hu, np.float32), np.zeros(shape, np.uint8), z, y, x, rng)

    def part(self, x: Range = EVERYWHERE, y: Range = EVERYWHERE, z: Range = EVERYWHERE) -> Canvas:
        """Take the part between these positions in mm; painting on it paints the whole."""
        axes = ((self.z, z), (self.y, y), (self.x, x))
        rz, ry, rx = (slice(*np.searchsorted(axis.ravel(), ends).tolist()) for axis, ends in axes)
        region = (rz, ry, rx)
        return Canvas(
            self.hu[region],
            self.truth[region],
            self.z[rz],
            self.y[:, ry],
            self.x[:, :, rx],
            self.rng,
            region,
        )

    def around(self, centre: ArrayLike, radii: ArrayLike) -> Canvas:
        """Take the part within `radii` of `centre`, both (x, y, z) in mm."""
        low, high = np.subtract(centre, radii), np.add(centre, radii)
        x, y, z = zip(low.tolist(), high.tolist(), strict=True)
        return self.part(x, y, z)

    def paint(self, where: NDArray[np.bool_], hu: float | Level, organ: int = 0) -> None:
        """Give the voxels `where` (broadcast to the picture) a value and an organ."""
        np.copyto(self.hu, np.asarray(hu, np.float32), where=where)
        np.copyto(self.truth, np.uint8(organ), where=where)

    def ellipse(self, centre: Range, radii: Range, power: float = 2.0) -> Level:
        """Level of a (super-)elliptic cylinder along z, (1, Y, X); centre and radii are (x, y)."""
        x = np.abs((self.x - centre[0]) / radii[0]) ** power
        y = np.abs((self.y - centre[1]) / radii[1]) ** power
        return np.asarray((x + y) ** (1 / power))

    def ellipsoid(self, centre: ArrayLike, radii: ArrayLike, power: float = 2.0) -> Level:
        """Level of a (super-)ellipsoid; `centre` and `radii` are (x, y, z) in mm."""
        axes = zip((self.x, self.y, self.z), np.asarray(centre), np.asarray(radii), strict=True)
        x, y, z = (np.abs((a - np.float32(c)) / np.float32(r)) ** power for a, c, r in axes)
        total = x + y + z
        return np.asarray(np.sqrt(total) if power == 2 else total ** np.float32(1 / power))

    def field(self, step: tuple[float, float, float]) -> Level:
        """Draw smooth random values, mean 0, deviation 1, changing over `step` mm (z, y, x)."""
        sizes = [axis.size for axis in (self.z, self.y, self.x)]
        lengths = [float(np.ptp(axis)) for axis in (self.z, self.y, self.x)]
        cells = [max(int(n / s), 1) + 3 for n, s in zip(lengths, step, strict=True)]
        field: Level = self.rng.standard_normal(cells, dtype=np.float32)
        for axis in (2, 1, 0):
            weights = _spline_weights(sizes[axis], cells[axis])
            field = np.moveaxis(np.tensordot(weights, field, ([1], [axis])), 0, axis)
        field = np.ascontiguousarray(field)
        field -= field.mean()
        field /= field.std()
        return field

    def tubes(self, step: tuple[float, float, float], width: float) -> NDArray[np.bool_]:
        """Draw random vessels: where two smooth fields are both near zero."""
        distance = np.square(self.field(step))
        distance += np.square(self.field(step))
        return np.asarray(distance < width**2)


def smooth_union(first: Level, second: Level, softness: float) -> Level:
    """Join two solids with a rounded seam."""
    blend = np.clip(0.5 + (second - first) / (2 * softness), 0, 1)
    return np.asarray(second + (first - second) * blend - softness * blend * (1 - blend))


def _spline_weights(samples: int, cells: int) -> NDArray[np.float32]:
    """(samples, cells) weights of a uniform cubic B-spline with `cells` control values."""
    position = np.linspace(0, cells - 3, samples, endpoint=False)
    first = position.astype(int)
    t = position - first
    basis: Sequence[NDArray[np.float64]] = (
        (1 - t) ** 3 / 6,
        (3 * t**3 - 6 * t**2 + 4) / 6,
        (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6,
        t**3 / 6,
    )
    weights = np.zeros((samples, cells), np.float32)
    for offset, values in enumerate(basis):
        weights[np.arange(samples), first + offset] = values
    return weights
