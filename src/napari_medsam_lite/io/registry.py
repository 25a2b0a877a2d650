"""The kinds of files there are: one row of `FORMATS` a format, found by the file's name."""

from __future__ import annotations

from pathlib import Path

from napari_medsam_lite.core.errors import FileFormatError
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
from napari_medsam_lite.io.guard import is_folder

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
        labels="numpy arrays; names beside",
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
        labels="NIfTI: names, colours; codes beside",
    ),
    Format(
        (seg_nrrd.SUFFIX,),
        seg_nrrd.WHAT,
        None,
        seg_nrrd.read_seg_nrrd,
        seg_nrrd.write_seg_nrrd,
        lambda path: True,
        lambda path: True,
        labels="3D Slicer: names, colours, codes",
    ),
    Format(
        (dicom_seg.MAP_SUFFIX,),
        dicom_seg.WHAT,
        None,
        dicom_seg.read_dicom_seg,
        dicom_seg_writer.write_map,
        dicom_seg.is_dicom_seg,
        dicom_seg.is_dicom_seg,
        labels="DICOM label map, on DICOM images: names, colours, codes",
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
        labels="DICOM-SEG, on DICOM images: names, colours, codes",
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


def _suffix(path: str | Path) -> str | None:
    name = Path(path).name.lower()
    return next((suffix for suffix in SUFFIXES if name.endswith(suffix)), None)


def format_of(path: str | Path) -> Format:
    """By the suffix; without a known one, by what is there.

    Raises
    ------
    FileFormatError
        If it is of no known format.
    """
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


def format_to_write(path: str | Path) -> Format:
    """By the suffix.

    Raises
    ------
    FileFormatError
        If labels are not written in such files.
    """
    name = Path(path).name.lower()
    for row in FORMATS:
        if row.write is not None and name.endswith(row.suffixes):
            return row
    raise FileFormatError(
        f"{path}: labels are written as {', '.join(LABEL_SUFFIXES)}; let the name end with one of "
        "these."
    )
