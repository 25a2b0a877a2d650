"""Voxels out of a NRRD file, which anybody may have made: nothing it claims is believed."""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import nrrd
import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.io.axes import from_lps
from napari_medsam_lite.io.guard import check_size, read_exactly

_HEADER_MOST = 1 << 24
_ENCODINGS = {"raw": False, "gzip": True, "gz": True}
_TYPES = {
    **dict.fromkeys(("signed char", "int8", "int8_t"), "i1"),
    **dict.fromkeys(("uchar", "unsigned char", "uint8", "uint8_t"), "u1"),
    **dict.fromkeys(("short", "short int", "signed short", "int16", "int16_t"), "i2"),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"), "u2"),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t"), "i4"),
    **dict.fromkeys(("uint", "unsigned int", "uint32", "uint32_t"), "u4"),
    **dict.fromkeys(("longlong", "long long", "int64", "int64_t"), "i8"),
    **dict.fromkeys(("ulonglong", "unsigned long long", "uint64", "uint64_t"), "u8"),
    "float": "f4",
    "double": "f8",
}
_SPACES = {
    "left-posterior-superior": (1, 1, 1),
    "lps": (1, 1, 1),
    "right-anterior-superior": (-1, -1, 1),
    "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1),
    "las": (1, -1, 1),
}
"""The signs that turn a space's axes to LPS."""


def read_nrrd(path: Path) -> tuple[dict[str, Any], NDArray[Any]]:
    """The header of a NRRD file, as pynrrd parses it, and the voxels, slowest axis first.

    Raises
    ------
    FileFormatError
        If the header claims more than the file can hold.
    ValueError, LookupError, OSError, EOFError
        If the file is damaged, or its voxels are in another file or in a form that is not known.
    """
    with path.open("rb") as file:
        header = _header(file)
        return header, _voxels(path, file, header)


def read_nrrd_header(path: Path) -> dict[str, Any]:
    """The header alone; raises as `read_nrrd`."""
    with path.open("rb") as file:
        return _header(file)


def nrrd_affine(header: dict[str, Any]) -> NDArray[np.float64]:
    """The (4, 4) affine from the index (z, y, x, 1) of the three space axes to RAS millimetres.

    Raises
    ------
    ValueError
        If the header has no such place.
    """
    space = str(header.get("space", "")).lower()
    if space not in _SPACES:
        raise ValueError(f"its space is {space or 'missing'!r}, not of a patient")
    directions = np.asarray(header["space directions"], np.float64)
    directions = directions[np.isfinite(directions).all(axis=1)]
    affine = np.eye(4)
    affine[:3, :3] = directions.T * np.reshape(_SPACES[space], (3, 1))
    affine[:3, 3] = np.asarray(header["space origin"], np.float64) * _SPACES[space]
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine)) < np.finfo(np.float32).tiny:
        raise ValueError("its space directions have no volume")
    return from_lps(affine)


def _header(file: BinaryIO) -> dict[str, Any]:
    """Parsed from text of our own decoding: pynrrd drops all that is not ASCII, names too."""
    try:
        return dict(nrrd.read_header(_lines(file)))
    except (nrrd.NRRDError, StopIteration, RuntimeError) as error:
        raise ValueError(str(error) or "it has no header") from error


def _lines(file: BinaryIO) -> Iterator[str]:
    size = 0
    while line := file.readline(_HEADER_MOST):
        size += len(line)
        if size > _HEADER_MOST:
            raise ValueError(f"its header is over {_HEADER_MOST >> 20} MiB")
        yield line.decode("utf-8", "replace")
        if not line.strip():
            return


def _voxels(path: Path, file: BinaryIO, header: dict[str, Any]) -> NDArray[Any]:
    if {"data file", "datafile", "line skip", "lineskip", "byte skip", "byteskip"} & header.keys():
        raise ValueError("its voxels are in another file; save it as one")
    encoding, kind = str(header["encoding"]).lower(), str(header["type"]).lower()
    if encoding not in _ENCODINGS or kind not in _TYPES:
        raise ValueError(f"its voxels are {kind!r}, stored as {encoding!r}, which is not read here")
    packed = _ENCODINGS[encoding]
    dtype = np.dtype(_TYPES[kind]).newbyteorder(">" if header.get("endian") == "big" else "<")
    sizes = [int(size) for size in header["sizes"]]
    if not sizes or min(sizes) < 1:
        raise ValueError(f"its sizes are {sizes}")
    claimed = math.prod(sizes) * dtype.itemsize
    check_size(path, claimed, path.stat().st_size - file.tell(), packed=packed)
    stream = cast(BinaryIO, gzip.GzipFile(fileobj=file)) if packed else file
    voxels = read_exactly(stream, claimed).view(dtype).reshape(sizes[::-1])
    if packed and stream.read(1):  # only at its end does gzip compare its checksum
        raise ValueError("it holds more voxels than its header tells")
    return voxels.astype(dtype.newbyteorder("="), copy=False)
