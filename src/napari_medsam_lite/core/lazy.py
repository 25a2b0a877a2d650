"""Voxels that are read when they are looked at: dask, zarr, or what else has slices."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
from numpy.typing import NDArray

KEPT_SLICES = 32


class LazyVoxels:
    """(Z, Y, X) of an array that is not in memory, read a slice at a time.

    The latest slices are kept, for the looks of one run share them. Not for two threads at once.

    Parameters
    ----------
    array : array
        (..., Z, Y, X); anything with a shape and a type whose slices `numpy.asarray` reads.
    leading : tuple of int
        Which volume, of an array of more than three dimensions.
    """

    def __init__(self, array: Any, leading: tuple[int, ...] = ()) -> None:
        self._array, self._leading = array, leading
        self.shape: tuple[int, ...] = tuple(array.shape[len(leading) :])
        self.ndim = len(self.shape)
        self.dtype = np.dtype(array.dtype)
        self._kept: OrderedDict[tuple[int, int], NDArray[Any]] = OrderedDict()

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int) -> NDArray[Any]:
        """Slice `index` across the first axis."""
        return self.plane(0, index)

    def plane(self, axis: int, index: int) -> NDArray[Any]:
        """Slice `index` across `axis`, read now or kept from before."""
        found = self._kept.pop((axis, index), None)
        if found is None:
            found = np.asarray(self._array[(*self._leading, *(slice(None),) * axis, index)])
        self._kept[axis, index] = found
        if len(self._kept) > KEPT_SLICES:
            self._kept.popitem(last=False)
        return found


def volume_of(array: Any, leading: tuple[int, ...] = ()) -> Any:
    """Volume `leading` of an array: a view of one that is in memory, else `LazyVoxels`."""
    if isinstance(array, np.ndarray):
        return array[leading] if leading else array
    return LazyVoxels(array, leading)
