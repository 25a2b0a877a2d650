"""Voxels out of a stream that may be packed."""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.io.guard import read_exactly

_CHUNK = 1 << 20


def read_array(stream: BinaryIO, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """An array of (Z, Y, X) stored with x fastest, in native byte order; double becomes float32."""
    size = int(np.prod(shape, dtype=object)) * dtype.itemsize
    stored = read_exactly(stream, size).view(dtype).reshape(shape)
    wanted = np.dtype(np.float32) if dtype.kind == "f" else dtype.newbyteorder("=")
    return stored.astype(wanted, copy=False)


def read_to_end(stream: BinaryIO) -> None:
    """Pass over what is left: only at its end does a packed stream compare its checksum."""
    while stream.read(_CHUNK):
        pass
