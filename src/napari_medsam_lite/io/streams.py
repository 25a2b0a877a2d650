"""Bytes out of a stream that may be packed: never more of them than are wanted."""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

_CHUNK = 1 << 20


def read_bytes(stream: BinaryIO, size: int) -> NDArray[np.uint8]:
    """The next `size` bytes; memory fills as they come, never by what a header claims alone.

    Raises
    ------
    EOFError
        If there are fewer.
    """
    content = np.empty(size, np.uint8)  # the system gives pages when they are written to
    filled = 0
    while filled < size:
        count = stream.readinto(content[filled : filled + _CHUNK])  # type: ignore[attr-defined]
        if not count:
            raise EOFError
        filled += count
    return content


def read_array(stream: BinaryIO, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """An array of (Z, Y, X) stored with x fastest, in native byte order; double becomes float32."""
    size = int(np.prod(shape, dtype=object)) * dtype.itemsize
    stored = read_bytes(stream, size).view(dtype).reshape(shape)
    wanted = np.dtype(np.float32) if dtype.kind == "f" else dtype.newbyteorder("=")
    return stored.astype(wanted, copy=False)


def read_to_end(stream: BinaryIO) -> None:
    """Pass over what is left: only at its end does a packed stream compare its checksum."""
    while stream.read(_CHUNK):
        pass
