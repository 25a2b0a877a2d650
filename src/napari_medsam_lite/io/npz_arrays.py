"""Arrays out of an npz file, which anybody may have made: nothing is unpickled or believed."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.io.guard import check_size

_SUFFIX = ".npy"
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def array_names(path: Path) -> set[str]:
    """The names of the arrays in the file: reads the list of contents only; raises as zipfile."""
    with zipfile.ZipFile(path) as archive:
        return {name.removesuffix(_SUFFIX) for name in archive.namelist()}


def read_arrays(path: Path, names: Iterable[str]) -> dict[str, NDArray[Any]]:
    """Those of the arrays called `names` that the file has; the others are not touched.

    Raises
    ------
    FileFormatError
        If it is no npz file, or an array is pickled or claims more bytes than are there.
    ValueError, OSError, EOFError, RuntimeError, tokenize.TokenError, zipfile.BadZipFile
        If the file is damaged.
    """
    if not zipfile.is_zipfile(path):
        with path.open("rb"):  # a missing file is told as such
            pass
        raise FileFormatError(
            f"{path} is not an npz file, or it is cut short: npz is a zip archive of arrays."
        )
    with zipfile.ZipFile(path) as archive:
        there = set(archive.namelist())
        return {name: _array(archive, name, path) for name in names if name + _SUFFIX in there}


def _array(archive: zipfile.ZipFile, name: str, path: Path) -> NDArray[Any]:
    info = archive.getinfo(name + _SUFFIX)
    if info.compress_type not in _PACKINGS:
        raise FileFormatError(f"{path}: '{name}' is packed in a way that npz files do not have.")
    packed = info.compress_type == zipfile.ZIP_DEFLATED
    check_size(path, info.compress_size, path.stat().st_size, packed=False)
    check_size(path, info.file_size, info.compress_size, packed=packed)
    with archive.open(info) as file:
        claimed = _claimed_size(file, name, path)
    # numpy takes memory by the array's own header. Equal sizes also make it read to the very end,
    # where the zip's checksum is compared.
    if claimed != info.file_size:
        raise FileFormatError(
            f"{path}: '{name}' is cut short or its header is damaged: it speaks of {claimed} "
            f"bytes, but there are {info.file_size}."
        )
    with archive.open(info) as file:
        return np.asarray(npy.read_array(file, allow_pickle=False))


def _claimed_size(file: IO[bytes], name: str, path: Path) -> int:
    """The bytes that an array's header promises, its own included."""
    version = npy.read_magic(file)
    if version not in _HEADERS:
        raise ValueError(f"'{name}' has an array format {version} that is not known")
    shape, _, dtype = _HEADERS[version](file)
    if dtype.hasobject:
        raise FileFormatError(
            f"{path}: '{name}' is stored as pickled Python objects, which can run code when "
            "opened and are never read; save it as a plain number array."
        )
    return file.tell() + math.prod(shape) * dtype.itemsize
