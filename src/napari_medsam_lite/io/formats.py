"""Images and labels by the suffix of the file's name: one row of `FORMATS` a format."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.case import Case
from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.core.files import identity_of, is_there, replacing
from napari_medsam_lite.core.label_volume import LabelVolume
from napari_medsam_lite.core.labelset import LabelClass, LabelSet, in_one_line
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.io import dicom_seg, dicom_seg_writer, nifti, npz, seg_nrrd
from napari_medsam_lite.io.guard import reading
from napari_medsam_lite.io.labelsets import write_label_set
from napari_medsam_lite.io.written import add_sidecar, check_written, sidecar_path


@dataclass(frozen=True)
class Format:
    """How one kind of file is read and written.

    The functions may let the errors of their libraries pass: `io.guard.reading` and
    `core.files.replacing` are round every call.

    Parameters
    ----------
    suffixes : tuple of str
        In small letters; a longer one before one that it ends with.
    what : str
        What such a file is, for messages: "a NIfTI image".
    read : callable, optional
        Path to the image, with the boxes and the truth that the file carries; None if such files
        hold labels only.
    read_labels : callable
        Path to the labels, with the classes that the file itself names.
    write : callable
        (path, labels, case): labels uint8 or uint16 on the voxels of ``case.volume``, with their
        classes and ``case.gts`` where the format can keep them.
    is_ours : callable
        Path to whether the file holds what we read; looks at no more than a header.
    holds_labels : callable
        Path to whether the file holds labels and no image; looks at no more than a header.
    keeps_place : bool
        Whether the file says where in the body its voxels lie.
    keeps_codes : bool
        Whether the file itself keeps all of a class; if not, a label set is written beside it.
    """

    suffixes: tuple[str, ...]
    what: str
    read: Callable[[Path], Case] | None
    read_labels: Callable[[Path], LabelVolume]
    write: Callable[[Path, LabelVolume, Case], None]
    is_ours: Callable[[Path], bool]
    holds_labels: Callable[[Path], bool]
    keeps_place: bool = True
    keeps_codes: bool = True


FORMATS = (
    Format(
        (".npz",),
        npz.WHAT,
        npz.read_npz,
        npz.read_npz_labels,
        npz.write_npz,
        npz.npz_is_ours,
        npz.npz_holds_labels,
        keeps_place=False,
        keeps_codes=False,
    ),
    Format(
        (".nii.gz", ".nii"),
        nifti.WHAT,
        nifti.read_nifti,
        nifti.read_nifti_labels,
        nifti.write_nifti,
        lambda path: True,
        nifti.nifti_holds_labels,
        keeps_codes=False,
    ),
    Format(
        (seg_nrrd.SUFFIX,),
        seg_nrrd.WHAT,
        None,
        seg_nrrd.read_seg_nrrd,
        seg_nrrd.write_seg_nrrd,
        lambda path: True,
        lambda path: True,
    ),
    Format(
        (dicom_seg.MAP_SUFFIX,),
        dicom_seg.WHAT,
        None,
        dicom_seg.read_dicom_seg,
        dicom_seg_writer.write_map,
        dicom_seg.is_dicom_seg,
        dicom_seg.is_dicom_seg,
    ),
    Format(
        (dicom_seg.SUFFIX,),
        dicom_seg.WHAT,
        None,
        dicom_seg.read_dicom_seg,
        dicom_seg_writer.write_masks,
        dicom_seg.is_dicom_seg,
        dicom_seg.is_dicom_seg,
    ),
)
SUFFIXES = tuple(suffix for row in FORMATS for suffix in row.suffixes)


def file_suffix(path: str | Path) -> str:
    """The one of `SUFFIXES` that `path` ends with.

    Raises
    ------
    FileFormatError
        If it ends with none of them.
    """
    name = Path(path).name.lower()
    for suffix in SUFFIXES:
        if name.endswith(suffix):
            return suffix
    raise FileFormatError(f"{path}: the name must end with one of {', '.join(SUFFIXES)}.")


def list_cases(folder: str | Path) -> list[Path]:
    """The files in `folder` that can be read, sorted by name; folders in it are not entered.

    Hidden files are left out: macOS keeps ``._ct.nii`` beside ``ct.nii`` on other systems' disks,
    and files that are being written are hidden until they are whole.

    Raises
    ------
    FileFormatError
        If there is none, no such folder, or it may not be read.
    """
    try:
        files = sorted(Path(folder).iterdir())
    except (FileNotFoundError, NotADirectoryError):
        files = []
    except OSError as error:
        raise FileFormatError(f"The folder {folder} cannot be read: {error.strerror}.") from error
    found = [
        file
        for file in files
        if file.name.lower().endswith(SUFFIXES)
        and _format(file).read is not None
        and not file.name.startswith(".")
    ]
    if not found:
        raise FileFormatError(
            f"{folder} is no folder with files that end with {', '.join(SUFFIXES)}."
        )
    return found


def is_ours(path: str | Path) -> bool:
    """Whether `path` is a file that can be read here: reads no more than a list of contents."""
    try:
        row = _format(path)
        with reading(path, row.what):
            return row.is_ours(Path(path))
    except FileFormatError:
        return False


def holds_labels(path: str | Path) -> bool:
    """Whether `path` holds labels and no image: reads no more than a header.

    Raises
    ------
    FileFormatError
        If the suffix is unknown, or the file is not what it says.
    """
    row = _format(path)
    with reading(path, row.what):
        return row.holds_labels(Path(path))


def read_case(path: str | Path) -> Case:
    """The image in `path`, with the boxes and the truth that the file carries.

    Raises
    ------
    FileFormatError
        If the suffix is unknown, or the file is not what it says.
    UnsupportedImageError
        If what it holds cannot be segmented.
    """
    row = _format(path)
    if row.read is None:
        raise FileFormatError(f"{path} is {row.what}: it holds labels, not an image.")
    with reading(path, row.what):
        return row.read(Path(path))


def read_volume(path: str | Path) -> Volume:
    """The image in `path`: (Z, Y, X) with spacing and affine; errors as `read_case`."""
    return read_case(path).volume


def read_labels(path: str | Path) -> NDArray[Any]:
    """The labels in `path`, as `write_labels` wrote them: (Z, Y, X) integers.

    Raises
    ------
    FileFormatError
        If the suffix is unknown, or the file holds no labels.
    """
    return read_label_volume(path).data


def read_label_volume(path: str | Path) -> LabelVolume:
    """The labels in `path` with their place and classes; errors as `read_labels`."""
    row = _format(path)
    with reading(path, row.what):
        labels = row.read_labels(Path(path))
    return labels if row.keeps_codes else add_sidecar(labels, sidecar_path(path, file_suffix(path)))


def write_labels(
    path: str | Path,
    labels: NDArray[Any],
    volume: Volume,
    *,
    classes: Iterable[LabelClass] = (),
    gts: NDArray[Any] | None = None,
    overwrite: bool = True,
) -> None:
    """Write labels in the space of the image that they were made on.

    The file appears whole or not at all, and only after it was read again and found to hold the
    same voxels in the same place; an existing one is replaced, unless it is the image itself.

    Parameters
    ----------
    path : path
        The suffix chooses the format.
    labels : ndarray
        (Z, Y, X) whole numbers from 0 to 65535; written as uint8 if 255 is enough, else as uint16.
    volume : Volume
        The image; gives the geometry.
    classes : iterable of LabelClass
        What the numbers stand for. Where the format cannot keep all of it, a label set
        ``NAME.labels.json`` is written beside the file.
    gts : ndarray, optional
        (Z, Y, X) truth, stored beside the labels where the format can (npz).
    overwrite : bool
        Whether an existing file may be replaced. If not, of several writers at once one succeeds.

    Raises
    ------
    FileFormatError
        If the labels do not fit, the suffix is unknown, or the file cannot be written.
    """
    row = _format(path)
    written = _labels_on(volume, _small_labels(labels, volume), classes)
    if volume.source and _is_image(path, volume.source.path):
        raise FileFormatError(f"{path} is the image itself; give the labels another name.")
    with replacing(path, overwrite=overwrite) as temporary:
        row.write(temporary, written, Case(volume, gts=gts))
        with reading(temporary, row.what):
            found = row.read_labels(temporary)
        check_written(path, found, written, keeps_place=row.keeps_place)
    if written.classes and not row.keeps_codes:
        write_label_set(sidecar_path(path, file_suffix(path)), LabelSet("", written.classes))


def _labels_on(volume: Volume, labels: NDArray[Any], classes: Iterable[LabelClass]) -> LabelVolume:
    named = tuple(map(in_one_line, classes))
    return LabelVolume(labels, volume.spacing, volume.affine, "labels", classes=named)


def _is_image(path: str | Path, source: Path) -> bool:
    """Whether `path` is the image; labels have their own file as source, and may go there again."""
    if identity_of(path) != identity_of(source):
        return False
    return is_there(path) and not holds_labels(path)


def _format(path: str | Path) -> Format:
    suffix = file_suffix(path)
    return next(row for row in FORMATS if suffix in row.suffixes)


def _small_labels(labels: NDArray[Any], volume: Volume) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """The labels as uint8 or uint16, after a check that nothing is lost by it."""
    if labels.shape != volume.shape:
        raise FileFormatError(
            f"The labels of shape {labels.shape} do not fit the image of shape {volume.shape}."
        )
    if labels.dtype.kind not in "iub":
        raise FileFormatError(f"Labels must be whole numbers, not {labels.dtype}.")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high > np.iinfo(np.uint16).max:
        raise FileFormatError(f"Labels must lie in 0..65535; these reach from {low} to {high}.")
    if high > np.iinfo(np.uint8).max:
        return labels.astype(np.uint16)
    return labels.astype(np.uint8)
