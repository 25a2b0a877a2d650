"""NIfTI through nibabel: voxels as stored, and labels with the source's exact geometry.

A NIfTI file's array is (X, Y, Z); ours is its transpose (Z, Y, X), never reoriented.
"""

from __future__ import annotations

import gzip
import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import nibabel as nib
import numpy as np
from nibabel.affines import voxel_sizes
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.volumeutils import apply_read_scaling
from nibabel.wrapstruct import WrapStructError
from numpy.typing import NDArray

from napari_medsam_lite.core.case import Case
from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.core.label_volume import LabelVolume
from napari_medsam_lite.core.volume import Source, Volume
from napari_medsam_lite.io.affine import check_affine, swap_axis_order
from napari_medsam_lite.io.guard import check_size, read_exactly
from napari_medsam_lite.io.nifti_names import (
    NAMES_CODE,
    classes_from_extensions,
    classes_to_extension,
)
from napari_medsam_lite.io.streams import read_to_end

WHAT = "a NIfTI image"
_LABEL = 1002  # the intent code of label images
_GZIP_MAGIC = b"\x1f\x8b"
_EXTENSIONS_MOST = 1 << 22
_LONGEST_SIDE = np.iinfo(np.int16).max  # of NIfTI-1

# nibabel logs on standard error what it then raises; said once is enough.
_SILENT = logging.getLogger(f"{__name__}.nibabel")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False


def read_nifti(path: Path) -> Case:
    """Read a ``.nii`` or ``.nii.gz`` file of one 3D (or 2D) scalar image.

    Returns
    -------
    Case
        The volume alone, (Z, Y, X): integers as stored where the file has no scaling, else float32
        after slope and intercept. Spacing in mm and affine (RAS) in the order (z, y, x). Its
        `source.header` is nibabel's header, for `write_nifti`.

    Raises
    ------
    FileFormatError
        If the file is in colour, claims more than it holds, or its affine is not usable.
    UnsupportedImageError
        If the image has several time points or channels.
    ValueError, OSError, EOFError
        If the file is missing, damaged or cut short.
    """
    with _opened(path) as file:
        header = file.header
        data = _voxels(file)
        read_to_end(file.stream)
    affine = np.asarray(header.get_best_affine(), np.float64)
    check_affine(affine, path)
    z, y, x = reversed(voxel_sizes(affine).tolist())
    name = path.name.removesuffix(".gz").removesuffix(".nii")
    source = Source(path, header.copy())
    return Case(Volume(_as_volume(data), (z, y, x), swap_axis_order(affine), name, source))


def read_nifti_labels(path: Path) -> LabelVolume:
    """Read the labels of a file, and their names in its header; raises as `read_nifti`."""
    volume = read_nifti(path).volume
    if volume.data.dtype.kind not in "iu":
        raise FileFormatError(f"{path} holds {volume.data.dtype} voxels, not labels.")
    with _opened(path) as file:
        return LabelVolume.of(volume, classes_from_extensions(_extensions(file)))


def nifti_holds_labels(path: Path) -> bool:
    """Whether the header calls the voxels labels and they are whole numbers; reads no voxels."""
    with _opened(path) as file:
        whole = file.header.get_data_dtype().kind in "iu" and _scaling(file.header) == (1, 0)
        return whole and int(file.header["intent_code"]) == _LABEL


def write_nifti(path: Path, labels: LabelVolume, case: Case) -> None:
    """Write labels in the space of the case's volume, with names and colours in an extension.

    If that came from a NIfTI file of the same shape, its geometry (sform, qform, their codes, voxel
    sizes, units, number of dimensions) is kept to the bit; if not, the file gets the volume's
    affine. The intent code says that the voxels are labels.
    """
    volume = case.volume
    header = volume.source.header if volume.source else None
    if isinstance(header, nib.Nifti1Header) and _volume_shape(header) == labels.shape:
        image = _like(header, labels.data)
    else:
        kind = nib.Nifti2Image if max(labels.shape) > _LONGEST_SIDE else nib.Nifti1Image
        image = kind(labels.data.T, swap_axis_order(volume.affine))
        image.header.set_xyzt_units("mm")
    image.header.set_intent(_LABEL)
    if labels.classes:
        names = nib.nifti1.Nifti1Extension(NAMES_CODE, classes_to_extension(labels.classes))
        image.header.extensions.append(names)
    image.to_filename(path)


@dataclass(frozen=True)
class _OpenFile:
    """A file with its checked header; the stream stands behind that."""

    path: Path
    stream: BinaryIO
    header: Any
    packed: bool


@contextmanager
def _opened(path: Path) -> Iterator[_OpenFile]:
    """The file, through gzip if it is packed, whatever its name says."""
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP_MAGIC
        file.seek(0)
        stream = cast(BinaryIO, gzip.GzipFile(fileobj=file)) if packed else file
        try:
            yield _OpenFile(path, stream, _header(stream, path), packed)
        except (HeaderDataError, ImageFileError, WrapStructError) as error:
            raise ValueError(error) from error


def _header(stream: BinaryIO, path: Path) -> Any:
    """Nibabel's header of either version, told by the size that it starts with.

    Extensions are left in the file: they may name the patient. See `_extensions`.
    """
    start = stream.read(4)
    sizes = {int.from_bytes(start, "little"), int.from_bytes(start, "big")}
    for kind in (nib.Nifti1Header, nib.Nifti2Header):
        if kind.sizeof_hdr in sizes:
            header = kind(start + stream.read(kind.sizeof_hdr - len(start)), check=False)
            header.check_fix(logger=_SILENT, error_level=logging.ERROR)
            if header["vox_offset"] == 0:
                header["vox_offset"] = _guess_offset(header, stream.read(1), path)
            return header
    raise FileFormatError(f"{path} is not {WHAT}.")


def _extensions(file: _OpenFile) -> bytes:
    """What lies between the header and the voxels; nothing if that is too much to be names."""
    start = file.header.sizeof_hdr
    size = int(file.header.get_data_offset()) - start
    if not 0 < size <= _EXTENSIONS_MOST:
        return b""
    file.stream.seek(start)
    return file.stream.read(size)


def _guess_offset(header: Any, extended: bytes, path: Path) -> int:
    """Where the voxels start, if the header leaves it out, as those of some programs do.

    nibabel would take the header's own bytes for voxels. `extended` is the byte behind the header,
    not 0 if more follows.
    """
    if header["magic"].item() != header.single_magic:
        raise FileFormatError(
            f"{path} is one of a pair of files (.hdr and .img); save them as one .nii file."
        )
    if extended.strip(b"\0"):
        raise ValueError("it does not say where its voxels start")
    return int(header.single_vox_offset)


def _scaling(header: Any) -> tuple[float, float]:
    slope, inter = header.get_slope_inter()
    return (1.0 if slope is None else slope), (0.0 if inter is None else inter)


def _voxels(file: _OpenFile) -> NDArray[Any]:
    """The voxels (X, Y, Z), scaled if they are to be, in native byte order."""
    header = file.header
    dtype = header.get_data_dtype()
    if dtype.fields is not None:
        raise FileFormatError(f"{file.path} is a colour (RGB) image; a scalar volume is needed.")
    stored = _stored(file, header.get_data_shape(), dtype)
    slope, inter = _scaling(header)
    if (slope, inter) == (1, 0) and dtype.kind in "iuc":
        return stored.astype(dtype.newbyteorder("="), copy=False)
    # To the bit what nibabel's images give when they are read as float32.
    factors = [np.asarray(v, np.float64) for v in (slope, inter)]
    factors = [v.astype(np.float32) if np.can_cast(v, np.float32) else v for v in factors]
    scaled: NDArray[Any] = apply_read_scaling(stored, *factors)
    return scaled.astype(np.float32, copy=False)


def _stored(file: _OpenFile, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """The voxels (X, Y, Z) as stored."""
    offset = int(file.header.get_data_offset())
    size = math.prod(map(int, shape)) * dtype.itemsize
    check_size(file.path, offset + size, file.path.stat().st_size, packed=file.packed)
    file.stream.seek(offset)
    return read_exactly(file.stream, size).view(dtype).reshape(shape, order="F")


def _as_volume(data: NDArray[Any]) -> NDArray[Any]:
    """(Z, Y, X) of (X, Y), (X, Y, Z) or (X, Y, Z, 1, ...); other shapes are left to `Volume`."""
    while data.ndim > 3 and data.shape[-1] == 1:
        data = data[..., 0]
    return (data[..., np.newaxis] if data.ndim == 2 else data).T


def _volume_shape(header: Any) -> tuple[int, ...]:
    """The shape (Z, Y, X) that a file of `header` is read as."""
    return (*header.get_data_shape(), 1)[2::-1]


def _like(header: Any, labels: NDArray[Any]) -> Any:
    """An image of `labels` with the geometry of `header` and nothing else of it."""
    header = header.copy()
    # Free text may name the patient.
    for field in ("descrip", "aux_file", "db_name"):
        if field in header:
            header[field] = b""
    header["cal_min"] = header["cal_max"] = 0
    header["vox_offset"] = 0
    header.set_data_dtype(labels.dtype)
    kind = nib.Nifti2Image if isinstance(header, nib.Nifti2Header) else nib.Nifti1Image
    shape = header.get_data_shape()
    return kind(labels.T.reshape(shape), header.get_best_affine(), header)
