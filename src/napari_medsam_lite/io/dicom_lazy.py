"""Long series of DICOM slices, each decoded when it is first looked at."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.lazy import LazyVoxels
from napari_medsam_lite.io.dicom_attributes import parsing
from napari_medsam_lite.io.dicom_pixels import certain_type, read_slice
from napari_medsam_lite.io.dicom_stack import Stack
from napari_medsam_lite.io.guard import check_memory, reading

LAZY_FROM = 64
"""Slices; fewer are decoded before one would notice."""


class LazySlices(LazyVoxels):
    """(Z, Y, X) as an array for napari; slices that were decoded are kept.

    Two threads may decode the same slice at once: they write the same.

    Parameters
    ----------
    stack : Stack
        Whose grid is its slices, one for one.
    dtype : dtype
        That of `certain_type`.

    Raises
    ------
    FileFormatError
        If the memory that is free does not hold all slices.
    """

    def __init__(self, stack: Stack, dtype: np.dtype[Any]) -> None:
        self.shape, self.ndim, self.dtype = stack.shape, 3, dtype
        self.size = int(np.prod(stack.shape))
        self._slices = stack.slices
        check_memory(stack.slices[0].path, self.size * dtype.itemsize)
        self._data: NDArray[Any] = np.empty(stack.shape, dtype)
        self._there = np.zeros(len(stack.slices), bool)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """As an array; decodes the slices that are asked for.

        Raises
        ------
        FileFormatError
            If a file is damaged, or gone.
        """
        first = key[0] if isinstance(key, tuple) and key else key
        whole = first is None or first is Ellipsis or (isinstance(key, tuple) and not key)
        indices = np.arange(len(self._there))
        self._decode(indices if whole else np.atleast_1d(indices[first]))
        part: NDArray[Any] = self._data[key]
        return part

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self[:], dtype, copy=bool(copy) or None)

    def plane(self, axis: int, index: int) -> NDArray[Any]:
        """Slice `index` across `axis`."""
        return self[(*(slice(None),) * axis, index)]

    def _decode(self, indices: NDArray[np.int_]) -> None:
        for index in indices[~self._there[indices]].tolist():
            one = self._slices[index]
            with reading(one.path, "a DICOM image"), parsing():
                read_slice(one, self._data[index])
            self._there[index] = True


def lazily(stack: Stack) -> LazySlices | None:
    """The voxels of a stack, to be decoded later; None where it is short or must be read at once.

    That is where slices are resampled, or only the voxels tell which type holds them.
    """
    dtype = certain_type(stack.slices) if stack.as_stored else None
    if dtype is None or len(stack.slices) < LAZY_FROM:
        return None
    data = LazySlices(stack, dtype)
    data.plane(0, (len(data) - 1) // 2)  # what cannot be decoded at all is told at once
    return data
