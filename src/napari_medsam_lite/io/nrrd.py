"""NRRD images: the header through pynrrd, voxels as stored.

pynrrd itself would unpack all that follows the header, however much that is.
"""

from __future__ import annotations

import bz2
import gzip
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import nrrd
import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.case import Case
from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.core.volume import Source, Volume
from napari_medsam_lite.io.affine import affine_from_lps, check_affine, spacing_of
from napari_medsam_lite.io.guard import check_size
from napari_medsam_lite.io.streams import read_array, read_to_end

WHAT = "an NRRD image"
_MAGIC = b"NRRD000"
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
        "f4": "float",
        "f8": "double",
    }.items()
    for name in names.split(", ")
}
_TO_LPS = {"l": 1, "r": -1, "p": 1, "a": -1, "s": 1, "i": -1}
_UNITS = {"mm": 1.0, "millimeter": 1.0, "cm": 10.0, "m": 1000.0, "um": 1e-3, "micron": 1e-3}
_NO_PLACE = (
    "It does not say how the patient lay: rows are taken to go from front to back and columns from "
    "the patient's right to left."
)


def read_nrrd(path: Path) -> Case:
    """Read a ``.nrrd`` file of one scalar image in two or three dimensions.

    Returns
    -------
    Case
        The volume alone, (Z, Y, X), as stored; double becomes float32.

    Raises
    ------
    FileFormatError
        If its voxels are in another file, it claims more than it holds, or has no place.
    UnsupportedImageError
        If the image has several time points or channels.
    ValueError, OSError, EOFError
        If the file is damaged or cut short.
    """
    with path.open("rb") as file:
        header = _header(file, path)
        shape = tuple(int(size) for size in header["sizes"][::-1])
        data = _voxels(file, header, shape, path)
    affine, notes = _affine(header)
    check_affine(affine, path)
    volume = Volume(
        data if data.ndim != 2 else data[np.newaxis],
        spacing_of(affine),
        affine,
        path.name[: -len(path.suffix)],
        Source(path),
        notes=notes,
    )
    return Case(volume)


def _header(file: BinaryIO, path: Path) -> dict[str, Any]:
    """The header; the stream stands behind it."""
    if file.read(len(_MAGIC)) != _MAGIC:
        raise FileFormatError(f"{path} is not {WHAT}.")
    file.seek(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            header: dict[str, Any] = nrrd.read_header(file)
        except (nrrd.NRRDError, TypeError) as error:
            raise ValueError(error) from error
    if len(header["sizes"]) != header["dimension"]:
        raise ValueError("it does not have as many sizes as dimensions")
    if "data file" in header or "datafile" in header:
        raise FileFormatError(
            f"{path} has its voxels in another file; save both as one .nrrd file."
        )
    return header


def _voxels(
    file: BinaryIO, header: dict[str, Any], shape: tuple[int, ...], path: Path
) -> NDArray[Any]:
    encoding = str(header["encoding"]).lower()
    if encoding not in _OPEN:
        raise FileFormatError(
            f"{path}: voxels stored as '{encoding}' cannot be read; save them as raw or gzip."
        )
    if header.get("line skip", 0) or header.get("byte skip", 0):
        raise FileFormatError(f"{path}: files with a 'line skip' or a 'byte skip' cannot be read.")
    order = ">" if header.get("endian") == "big" else "<"
    kind = str(header["type"])
    if kind not in _TYPES:
        raise FileFormatError(f"{path}: voxels of type '{kind}' cannot be read.")
    dtype = np.dtype(order + _TYPES[kind])
    size = int(np.prod(shape, dtype=object)) * dtype.itemsize
    left = path.stat().st_size - file.tell()
    check_size(path, size, left, packed=encoding != "raw")
    stream = _OPEN[encoding](file)
    data = read_array(stream, shape, dtype)
    read_to_end(stream)
    return data


def _affine(header: dict[str, Any]) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """The affine of a `Volume`, and what is told of it."""
    count = len(header["sizes"])
    space = str(header.get("space", "")).lower()
    axes = [word[:1] for word in space.split("-")] if "-" in space else list(space)
    known = len(axes) == 3 and set(axes) <= set(_TO_LPS)
    signs = np.array([_TO_LPS[axis] for axis in axes] if known else [1, 1, 1])
    steps = np.eye(3)
    if "space directions" in header and count <= 3:
        given = np.asarray(header["space directions"], float)
        steps[:count, : given.shape[1]] = given
        if count == 2:
            steps[2] = np.cross(steps[0], steps[1]) / np.linalg.norm(np.cross(steps[0], steps[1]))
    elif "spacings" in header and count <= 3:
        steps[range(count), range(count)] = np.asarray(header["spacings"], float)
    origin = np.zeros(3)
    if "space origin" in header:
        given = np.asarray(header["space origin"], float)
        origin[: len(given)] = given
    units = [_UNITS.get(str(unit).lower(), 1.0) for unit in header.get("space units", [])]
    scale = np.array(units) if len(units) == 3 else np.ones(3)
    affine = affine_from_lps((steps * scale * signs).T, origin * scale * signs)
    return affine, () if known else (_NO_PLACE,)
