"""Header and voxels out of a NRRD file, which anybody may have made: nothing it claims is believed.

The header is parsed by pynrrd. The voxels are not: pynrrd would open other files that are named,
and unpack all that follows the header, however much that is.
"""

from __future__ import annotations

import bz2
import gzip
import math
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import nrrd
import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.io.guard import check_size
from napari_medsam_lite.io.streams import read_array, read_to_end

_MAGIC = b"NRRD000"
_HEADER_MOST = 1 << 24
_OPEN: dict[str, Callable[[Any], Any]] = {
    "raw": lambda file: file,
    "gzip": lambda file: gzip.GzipFile(fileobj=file),
    "gz": lambda file: gzip.GzipFile(fileobj=file),
    "bzip2": bz2.BZ2File,
    "bz2": bz2.BZ2File,
}
_TYPES = {
    name: code
    for code, names in {
        "i1": "signed char, int8, int8_t",
        "u1": "uchar, unsigned char, uint8, uint8_t",
        "i2": "short, short int, signed short, signed short int, int16, int16_t",
        "u2": "ushort, unsigned short, unsigned short int, uint16, uint16_t",
        "i4": "int, signed int, int32, int32_t",
        "u4": "uint, unsigned int, uint32, uint32_t",
        "i8": "longlong, long long, int64, int64_t",
        "u8": "ulonglong, unsigned long long, uint64, uint64_t",
        "f4": "float",
        "f8": "double",
    }.items()
    for name in names.split(", ")
}
_ELSEWHERE = ("data file", "datafile")
_SKIPS = ("line skip", "lineskip", "byte skip", "byteskip")


def read_nrrd_arrays(path: Path) -> tuple[dict[str, Any], NDArray[Any]]:
    """The header as pynrrd parses it, and the voxels, slowest axis first; double becomes float32.

    Raises
    ------
    FileFormatError
        If it is no NRRD file, its voxels are in another file or in a form that is not known, or it
        claims more than it holds.
    ValueError, LookupError, OSError, EOFError
        If the file is damaged or cut short.
    """
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise FileFormatError(f"{path} is not an NRRD image.")
        file.seek(0)
        header = _header(file)
        return header, _voxels(path, file, header)


def _header(file: BinaryIO) -> dict[str, Any]:
    """From text of our own decoding: pynrrd drops all that is not ASCII, in names too."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return dict(nrrd.read_header(_lines(file)))
        except (nrrd.NRRDError, TypeError, RuntimeError) as error:
            raise ValueError(error) from error


def _lines(file: BinaryIO) -> Iterator[str]:
    """Those of the header; the file stands behind it then."""
    size = 0
    while line := file.readline(_HEADER_MOST):
        size += len(line)
        if size > _HEADER_MOST:
            raise ValueError(f"its header is over {_HEADER_MOST >> 20} MiB")
        yield line.decode("utf-8", "replace")
        if not line.strip():
            return


def _voxels(path: Path, file: BinaryIO, header: dict[str, Any]) -> NDArray[Any]:
    if any(name in header for name in _ELSEWHERE):
        raise FileFormatError(
            f"{path} has its voxels in another file; save both as one .nrrd file."
        )
    if any(header.get(name, 0) for name in _SKIPS):
        raise FileFormatError(f"{path}: files with a 'line skip' or a 'byte skip' cannot be read.")
    encoding, kind = str(header["encoding"]).lower(), str(header["type"]).lower()
    if encoding not in _OPEN:
        raise FileFormatError(
            f"{path}: voxels stored as '{encoding}' cannot be read; save them as raw or gzip."
        )
    if kind not in _TYPES:
        raise FileFormatError(f"{path}: voxels of type '{kind}' cannot be read.")
    dtype = np.dtype(_TYPES[kind]).newbyteorder(">" if header.get("endian") == "big" else "<")
    shape = tuple(int(size) for size in header["sizes"][::-1])
    claimed = math.prod(shape) * dtype.itemsize
    left = path.stat().st_size - file.tell()
    check_size(path, claimed, left, packed=encoding != "raw")
    if not shape or min(shape) < 0 or len(shape) != header["dimension"]:
        raise ValueError(f"its sizes are {shape[::-1]}")
    stream = _OPEN[encoding](file)
    voxels = read_array(stream, shape, dtype)
    read_to_end(stream)
    return voxels
