"""MetaImage files in one piece (.mha): the header by its own rules, voxels as stored.

ITK would read them too, but takes memory by what the header claims, speaks on standard error where
one sentence goes, and weighs 50 MB.
"""

from __future__ import annotations

import zlib
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.case import Case
from napari_medsam_lite.core.errors import FileFormatError, UnsupportedImageError
from napari_medsam_lite.core.volume import Source, Volume
from napari_medsam_lite.io.affine import affine_from_lps, check_affine, spacing_of
from napari_medsam_lite.io.guard import check_size
from napari_medsam_lite.io.streams import read_array

WHAT = "an MHA image"
_LONGEST_LINE, _MOST_LINES = 4096, 1000
_TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
_DIRECTIONS = ("TransformMatrix", "Rotation", "Orientation")
_ORIGINS = ("Offset", "Position", "Origin")
_SPACINGS = ("ElementSpacing", "ElementSize")


def read_mha(path: Path) -> Case:
    """Read a ``.mha`` file of one scalar image in two or three dimensions.

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
        shape = tuple(map(int, header["DimSize"].split()))[::-1]
        if len(shape) not in (2, 3) or header.get("ElementNumberOfChannels", "1") != "1":
            raise UnsupportedImageError(
                f"{path}: an image of {len(shape)} dimensions or several channels cannot be "
                "segmented; choose one 3D volume."
            )
        data = _voxels(file, header, shape, path)
    affine = _affine(header, len(shape))
    check_affine(affine, path)
    volume = Volume(
        data if data.ndim != 2 else data[np.newaxis],
        spacing_of(affine),
        affine,
        path.name[: -len(path.suffix)],
        Source(path),
    )
    return Case(volume)


def _header(file: BufferedReader, path: Path) -> dict[str, str]:
    """The header by its keys; the stream stands behind it."""
    header: dict[str, str] = {}
    for _ in range(_MOST_LINES):
        line = file.readline(_LONGEST_LINE)
        key, equals, value = line.decode("latin-1").partition("=")
        if not equals:
            break
        header[key.strip()] = value.strip()
        if key.strip() == "ElementDataFile":
            if value.strip().upper() != "LOCAL":
                raise FileFormatError(
                    f"{path} has its voxels in another file; save both as one .mha file."
                )
            return header
    raise FileFormatError(f"{path} is not {WHAT}.")


def _voxels(
    file: BufferedReader, header: dict[str, str], shape: tuple[int, ...], path: Path
) -> NDArray[Any]:
    kind = header.get("ElementType", "")
    if kind not in _TYPES:
        raise FileFormatError(f"{path}: voxels of type '{kind}' cannot be read.")
    big = _is_true(header, "BinaryDataByteOrderMSB") or _is_true(header, "ElementByteOrderMSB")
    dtype = np.dtype(_TYPES[kind]).newbyteorder(">" if big else "<")
    packed = _is_true(header, "CompressedData")
    size = int(np.prod(shape, dtype=object)) * dtype.itemsize
    check_size(path, size, path.stat().st_size - file.tell(), packed=packed)
    stream: BinaryIO = file
    if packed:
        unpacking = zlib.decompressobj()
        stream = BytesIO(unpacking.decompress(file.read(), size + 1))
        if not unpacking.eof:
            raise EOFError
    return read_array(stream, shape, dtype)


def _affine(header: dict[str, str], count: int) -> NDArray[np.float64]:
    """The affine of a `Volume`; the file's world is LPS, each of its rows the step of one axis."""
    directions, origin, spacing = np.eye(3), np.zeros(3), np.ones(3)
    found = _numbers(header, _DIRECTIONS, count * count)
    if found is not None:
        directions[:count, :count] = found.reshape(count, count)
    for numbers, target in ((_ORIGINS, origin), (_SPACINGS, spacing)):
        found = _numbers(header, numbers, count)
        if found is not None:
            target[:count] = found
    return affine_from_lps((directions * spacing[:, np.newaxis]).T, origin)


def _numbers(
    header: dict[str, str], names: tuple[str, ...], count: int
) -> NDArray[np.float64] | None:
    text = next((header[name] for name in names if name in header), None)
    if text is None:
        return None
    numbers = np.array([float(word) for word in text.split()])
    if len(numbers) != count:
        raise ValueError(f"{names[0]} has {len(numbers)} numbers, not {count}")
    return numbers


def _is_true(header: dict[str, str], name: str) -> bool:
    return header.get(name, "False").lower() in ("true", "1")
