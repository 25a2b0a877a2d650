"""A mask as text: a bit a voxel, deflated, in base64; a few strokes in a large volume are short."""

from __future__ import annotations

import base64
import math
import zlib

import numpy as np
from numpy.typing import NDArray

FAST = 1


def pack_mask(mask: NDArray[np.bool_]) -> str:
    """The text of a mask of any shape."""
    return base64.b64encode(zlib.compress(np.packbits(mask).tobytes(), FAST)).decode("ascii")


def unpack_mask(text: object, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """The mask that `pack_mask` made a text of.

    Raises
    ------
    ValueError
        If it is not a mask of that shape; no more memory is taken than for one.
    """
    if not isinstance(text, str):
        raise ValueError("a mask is no text")
    count = math.prod(shape)
    unpacker = zlib.decompressobj()
    try:
        bits = unpacker.decompress(base64.b64decode(text, validate=True), (count + 7) // 8 + 1)
    except zlib.error as error:
        raise ValueError(f"a mask is damaged ({error})") from error
    if len(bits) != (count + 7) // 8 or not unpacker.eof:
        raise ValueError(f"a mask is not one of {count} voxels")
    flat = np.unpackbits(np.frombuffer(bits, np.uint8), count=count)
    return flat.astype(bool).reshape(shape)
