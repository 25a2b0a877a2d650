"""NIfTI through nibabel: voxels as stored, and labels with the source's exact geometry.

A NIfTI file's array is (X, Y, Z); ours is its transpose (Z, Y, X), never reoriented.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import nibabel as nib
import numpy as np
from nibabel.affines import voxel_sizes
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError
from numpy.typing import NDArray

from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.core.files import replacing
from napari_medsam_lite.core.volume import Source, Volume
from napari_medsam_lite.io.guard import reading

_WHAT = "a NIfTI image"
_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK = 1 << 20


def read_nifti(path: str | Path) -> Volume:
    """Read a ``.nii`` or ``.nii.gz`` file of one 3D (or 2D) scalar image.

    Returns
    -------
    Volume
        (Z, Y, X): integers as stored where the file has no scaling, else float32 after slope and
        intercept. Spacing in mm and affine (RAS) in the order (z, y, x). Its `source.header`
        is nibabel's header, for `write_nifti`.

    Raises
    ------
    FileFormatError
        If the file is missing, damaged, cut short, in colour, or its affine is not usable.
    UnsupportedImageError
        If the image has several time points or channels.
    """
    path = Path(path)
    with reading(path, _WHAT):
        try:
            image, data = _load(path)
        except (HeaderDataError, ImageFileError, WrapStructError) as error:
            raise ValueError(error) from error
    affine = np.asarray(image.affine, np.float64)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine)) < np.finfo(np.float32).tiny:
        raise FileFormatError(
            f"{path}: the affine in the header holds NaN or has no volume, so the voxels have no "
            "place; repair the header first."
        )
    z, y, x = reversed(voxel_sizes(affine).tolist())
    name = path.name.removesuffix(".gz").removesuffix(".nii")
    source = Source(path, image.header.copy())
    return Volume(_as_volume(data), (z, y, x), swap_axis_order(affine), name, source)


def write_nifti(path: str | Path, labels: NDArray[Any], volume: Volume) -> None:
    """Write labels (Z, Y, X) uint8 or uint16 in the space of `volume`.

    If `volume` came from a NIfTI file, its geometry (sform, qform, their codes, voxel sizes,
    units, number of dimensions) is kept to the bit; if not, the file gets the volume's affine.

    Raises
    ------
    FileFormatError
        If the file cannot be written.
    """
    header = volume.source.header if volume.source else None
    if isinstance(header, nib.Nifti1Header):
        image = _like(header, labels)
    else:
        image = nib.Nifti1Image(labels.T, swap_axis_order(volume.affine))
        image.header.set_xyzt_units("mm")
    with replacing(path) as temporary:
        image.to_filename(temporary)


def swap_axis_order(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """An affine from the order (x, y, z) to (z, y, x) on both sides, or back."""
    order = [2, 1, 0, 3]
    return affine[np.ix_(order, order)]


def _load(path: Path) -> tuple[Any, NDArray[Any]]:
    """The image and its voxels (X, Y, Z), native byte order, every byte checked."""
    with _unpacked(path) as stream:
        image = _kind(stream, path).from_stream(stream)
        data = _voxels(image, path)
        while stream.read(_CHUNK):  # to the end: only there does gzip compare its checksum
            pass
    return image, data


def _kind(stream: BinaryIO, path: Path) -> Any:
    """The class of nibabel for the file, from the header size that it starts with."""
    start = stream.read(4)
    stream.seek(0)
    sizes = {int.from_bytes(start, "little"), int.from_bytes(start, "big")}
    for kind in (nib.Nifti1Image, nib.Nifti2Image):
        if kind.header_class.sizeof_hdr in sizes:
            return kind
    raise FileFormatError(f"{path} is not {_WHAT}.")


@contextmanager
def _unpacked(path: Path) -> Iterator[BinaryIO]:
    """The bytes of the file, through gzip if it is packed, whatever its name says."""
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP_MAGIC
        file.seek(0)
        if not packed:
            yield file
            return
        with gzip.GzipFile(fileobj=file) as stream:
            yield cast(BinaryIO, stream)


def _voxels(image: Any, path: Path) -> NDArray[Any]:
    stored = image.get_data_dtype()
    data: NDArray[Any]
    if stored.fields is not None:
        raise FileFormatError(f"{path} is a colour (RGB) image; a scalar volume is needed.")
    if (image.dataobj.slope, image.dataobj.inter) == (1, 0) and stored.kind in "iuc":
        data = np.asarray(image.dataobj)
    else:
        data = np.asarray(image.dataobj, dtype=np.float32)
    return data.astype(data.dtype.newbyteorder("="), copy=False)


def _as_volume(data: NDArray[Any]) -> NDArray[Any]:
    """(Z, Y, X) of (X, Y), (X, Y, Z) or (X, Y, Z, 1, ...); other shapes are left to `Volume`."""
    while data.ndim > 3 and data.shape[-1] == 1:
        data = data[..., 0]
    return (data[..., np.newaxis] if data.ndim == 2 else data).T


def _like(header: Any, labels: NDArray[Any]) -> Any:
    """An image of `labels` with the geometry of `header` and nothing else of it."""
    header = header.copy()
    header.extensions.clear()  # may name the patient
    for field in ("descrip", "aux_file", "db_name", "intent_name"):
        if field in header:
            header[field] = b""
    header["cal_min"] = header["cal_max"] = 0
    header["vox_offset"] = 0
    header.set_data_dtype(labels.dtype)
    kind = nib.Nifti2Image if isinstance(header, nib.Nifti2Header) else nib.Nifti1Image
    shape = header.get_data_shape()
    return kind(labels.T.reshape(shape), header.get_best_affine(), header)
