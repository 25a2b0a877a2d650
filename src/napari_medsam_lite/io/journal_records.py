"""The records of a journal: how one is written, and how those that are whole are read.

A journal begins with `MAGIC`; then comes a record a flush, each with a digest of all of it::

    length of head, length of body (little-endian, 4 and 8 bytes)
    head    JSON: when, shape of the labels, slices with the lengths of their parts
    body    the case as JSON, where it changed; of each slice labels and painted voxels; deflated
    digest  16 bytes, BLAKE2b
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import struct
import zlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

MAGIC = b"medsam-lite journal 1\n"
FAST = 1
DIGEST_SIZE = 16
LENGTHS = struct.Struct("<IQ")

Place = tuple[int, ...]
"""Of a slice: the place of its volume, if there are several, and its index across the first axis.

Empty for labels that are one slice.
"""


@dataclass(frozen=True)
class Patch:
    """One slice as it is now.

    Attributes
    ----------
    place : tuple of int
        `labels[place]` is the slice.
    labels : ndarray
        (H, W) whole numbers: a copy.
    painted : ndarray or None
        (H, W) bool, the voxels that a person painted: a copy; None if there are none.
    """

    place: Place
    labels: NDArray[Any]
    painted: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Slice:
    """A slice as it is kept: deflated, `painted` empty if no voxel is."""

    dtype: str
    labels: bytes
    painted: bytes

    @classmethod
    def of(cls, patch: Patch) -> Slice:
        """A patch, deflated."""
        painted = patch.painted
        packed = b"" if painted is None or not painted.any() else _deflated(painted)
        return cls(patch.labels.dtype.str, _deflated(patch.labels), packed)

    def labels_of(self, shape: tuple[int, ...]) -> NDArray[Any]:
        """The labels of a slice of `shape`; ValueError if they are of another."""
        return _inflated(self.labels, np.dtype(self.dtype), shape)

    def painted_of(self, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """The painted voxels, as `labels_of`."""
        return _inflated(self.painted, np.dtype(bool), shape)


@dataclass(frozen=True)
class Contents:
    """What one record holds, or several in a row: the latest of each slice, and of the case."""

    shape: tuple[int, ...]
    when: datetime
    case: bytes | None
    slices: dict[Place, Slice]

    def then(self, later: Contents) -> Contents:
        """With what a later record holds."""
        case = self.case if later.case is None else later.case
        return Contents(self.shape, later.when, case, {**self.slices, **later.slices})


def to_record(contents: Contents) -> bytes:
    """All of it as one record."""
    parts = [] if contents.case is None else [contents.case]
    rows = []
    for place, each in contents.slices.items():
        rows.append([place, each.dtype, len(each.labels), len(each.painted)])
        parts += [each.labels, each.painted]
    head = {
        "when": contents.when.isoformat(),
        "shape": contents.shape,
        "case": None if contents.case is None else len(contents.case),
        "slices": rows,
    }
    packed, body = json.dumps(head, separators=(",", ":")).encode(), b"".join(parts)
    record = LENGTHS.pack(len(packed), len(body)) + packed + body
    return record + _digest(record)


def read_records(file: Path) -> tuple[Contents | None, int]:
    """What the whole records at the beginning of a file hold, and where they end.

    Raises
    ------
    OSError
        If the system refuses.
    """
    found, end = None, 0
    with file.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        if stream.read(len(MAGIC)) != MAGIC:
            return None, 0
        while (record := _next_record(stream, size)) is not None:
            if found is not None and record.shape != found.shape:
                break
            found, end = record if found is None else found.then(record), stream.tell()
    return found, end


def to_json(packed: bytes | None) -> dict[str, Any]:
    """The case that `from_json` has packed; empty if there is none."""
    return {} if packed is None else dict(json.loads(zlib.decompress(packed)))


def from_json(case: dict[str, Any] | None) -> bytes | None:
    """A case as it is kept."""
    return None if case is None else zlib.compress(json.dumps(case).encode(), FAST)


def _next_record(stream: BinaryIO, size: int) -> Contents | None:
    """The record that begins here; None if it is not whole, or not as it was written."""
    start = stream.read(LENGTHS.size)
    if len(start) < LENGTHS.size:
        return None
    head_size, body_size = LENGTHS.unpack(start)
    if head_size + body_size + DIGEST_SIZE > size - stream.tell():
        return None
    packed, body = stream.read(head_size), stream.read(body_size)
    if stream.read(DIGEST_SIZE) != _digest(start, packed, body):
        return None
    head, at = json.loads(packed), 0

    def part(length: int | None) -> bytes:
        nonlocal at
        at += length or 0
        return body[at - (length or 0) : at]

    case = None if head["case"] is None else part(head["case"])
    slices = {
        tuple(place): Slice(dtype, part(labels), part(painted))
        for place, dtype, labels, painted in head["slices"]
    }
    return Contents(tuple(head["shape"]), datetime.fromisoformat(head["when"]), case, slices)


def _digest(*parts: bytes) -> bytes:
    digest = hashlib.blake2b(digest_size=DIGEST_SIZE)
    for part in parts:
        digest.update(part)
    return digest.digest()


def _deflated(array: NDArray[Any]) -> bytes:
    return zlib.compress(np.ascontiguousarray(array).data, FAST)


def _inflated(packed: bytes, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    size = math.prod(shape) * dtype.itemsize
    content = zlib.decompressobj().decompress(packed, size + 1)
    if len(content) != size:
        raise ValueError(f"a slice of {size} bytes has {len(content)}")
    return np.frombuffer(content, dtype).reshape(shape)
