"""Images and labels by the suffix of the file's name: one row of `FORMATS` a format."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from napari_medsam_lite.core.case import Case
from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.core.files import identity_of, is_there, replacing
from napari_medsam_lite.core.label_volume import LabelVolume
from napari_medsam_lite.core.labelset import LabelClass, LabelSet
from napari_medsam_lite.core.volume import Source, Volume
from napari_medsam_lite.io import (
    dicom,
    dicom_seg,
    dicom_seg_writer,
    mha,
    nifti,
    npz,
    nrrd,
    seg_nrrd,
)
from napari_medsam_lite.io.format import Format, image_only
from napari_medsam_lite.io.guard import is_folder, reading
from napari_medsam_lite.io.labelsets import write_label_set
from napari_medsam_lite.io.written import add_sidecar, check_written, labels_to_write, sidecar_path

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
    image_only(".nrrd", nrrd.WHAT, nrrd.read_nrrd),
    image_only(".mha", mha.WHAT, mha.read_mha),
    Format(
        (".dcm", ".dicom", ".ima"),
        dicom.WHAT,
        dicom.read_dicom,
        dicom_seg.read_dicom_seg,
        dicom_seg_writer.write_masks,
        dicom.dicom_is_ours,
        lambda path: not path.is_dir() and dicom_seg.is_dicom_seg(path),
        in_folders=True,
    ),
)
SUFFIXES = tuple(suffix for row in FORMATS for suffix in row.suffixes)
LABEL_SUFFIXES = tuple(s for row in FORMATS if row.write is not None for s in row.suffixes)


def file_suffix(path: str | Path) -> str:
    """The one of `SUFFIXES` that `path` ends with.

    Raises
    ------
    FileFormatError
        If it ends with none of them.
    """
    suffix = _suffix(path)
    if suffix is None:
        raise FileFormatError(f"{path}: the name must end with one of {', '.join(SUFFIXES)}.")
    return suffix


def is_ours(path: str | Path) -> bool:
    """Whether `path` is a file that can be read here: reads no more than a list of contents."""
    try:
        row = _format(path)
        with reading(path, row.what, folder=row.in_folders):
            return row.is_ours(Path(path))
    except FileFormatError:
        return False


def is_dicom(path: str | Path) -> bool:
    """Whether `path` is a DICOM file, or a folder with such files."""
    try:
        return _format(path).in_folders
    except FileFormatError:
        return False


def is_image(path: str | Path) -> bool:
    """Whether there is a file at `path` that can be read here and holds an image."""
    return is_there(path) and is_ours(path) and not holds_labels(path)


def holds_labels(path: str | Path) -> bool:
    """Whether `path` holds labels and no image: reads no more than a header.

    Raises
    ------
    FileFormatError
        If the suffix is unknown, or the file is not what it says.
    """
    row = _format(path)
    with reading(path, row.what, folder=row.in_folders):
        return row.holds_labels(Path(path))


def read_case(
    path: str | Path,
    series: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Case:
    """The image in `path`, with the boxes and the truth that the file carries.

    Parameters
    ----------
    path : path
        A file, or a folder of DICOM files.
    series : str, optional
        Of a folder that holds several: its number, from 1, or a part of its description.
    progress : callable, optional
        Called with (slices done, slices in all) where reading may take long.

    Raises
    ------
    FileFormatError
        If the suffix is unknown, the file is not what it says, or there is no such series.
    UnsupportedImageError
        If what it holds cannot be segmented.
    """
    row = _format(path)
    if row.read is None:
        raise FileFormatError(f"{path} is {row.what}: it holds labels, not an image.")
    with reading(path, row.what, folder=row.in_folders):
        if row.in_folders:
            return row.read(Path(path), series, progress)
        if series is not None:
            raise FileFormatError(f"{path} holds one image; leave the series out.")
        return row.read(Path(path))


def read_volume(path: str | Path, series: str | None = None) -> Volume:
    """The image in `path`: (Z, Y, X) with spacing and affine; as `read_case`."""
    return read_case(path, series).volume


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
    row = _format_to_write(path)
    written = labels_to_write(labels, volume, classes)
    if volume.source and _is_image(path, volume.source):
        raise FileFormatError(f"{path} is the image itself; give the labels another name.")
    assert row.write is not None
    with replacing(path, overwrite=overwrite) as temporary:
        row.write(temporary, written, Case(volume, gts=gts))
        with reading(temporary, row.what):
            found = row.read_labels(temporary)
        check_written(path, found, written, keeps_place=row.keeps_place)
    if written.classes and not row.keeps_codes:
        write_label_set(sidecar_path(path, file_suffix(path)), LabelSet("", written.classes))


def check_can_write(path: str | Path) -> None:
    """Raise FileFormatError unless labels can be written in the format that `path` ends with."""
    _format_to_write(path)


def keeps_place(path: str | Path) -> bool:
    """Whether the file at `path`, or a folder, is of a format that tells where its voxels lie."""
    return _format(path).keeps_place


def _is_image(path: str | Path, source: Source) -> bool:
    """Whether `path` is the image; labels have their own file as source, and may go there again."""
    if identity_of(path) not in map(identity_of, (source.path, *source.files)):
        return False
    return is_there(path) and not holds_labels(path)


def _suffix(path: str | Path) -> str | None:
    name = Path(path).name.lower()
    return next((suffix for suffix in SUFFIXES if name.endswith(suffix)), None)


def _format(path: str | Path) -> Format:
    """By the suffix; without a known one, by what is there."""
    folder = is_folder(path)
    suffix = None if folder else _suffix(path)
    for row in FORMATS:
        if suffix in row.suffixes or (suffix is None and _is_unnamed(path, row)):
            return row
    if folder:
        raise FileFormatError(f"{path} is a folder without DICOM files; name a file.")
    raise FileFormatError(f"{path}: the name must end with one of {', '.join(SUFFIXES)}.")


def _is_unnamed(path: str | Path, row: Format) -> bool:
    """Whether `path` is of a format that does not need a suffix."""
    try:
        return row.in_folders and row.is_ours(Path(path))
    except OSError:
        return False


def _format_to_write(path: str | Path) -> Format:
    name = Path(path).name.lower()
    for row in FORMATS:
        if row.write is not None and name.endswith(row.suffixes):
            return row
    raise FileFormatError(
        f"{path}: labels are written as {', '.join(LABEL_SUFFIXES)}; let the name end with one of "
        "these."
    )
