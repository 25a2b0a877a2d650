"""The DICOM images that a segmentation refers to, with what their files left out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.core.volume import Volume

_MAY_BE_EMPTY = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
)
_OF_SERIES = ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
_OF_FILE = {
    "SOPClassUID": "MediaStorageSOPClassUID",
    "SOPInstanceUID": "MediaStorageSOPInstanceUID",
}
_CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"


class SourceSlice(Protocol):
    """The image behind one slice of a volume."""

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def frame(self) -> int:
        """Which image of the file, counted from 0."""


def source_slices(volume: Volume) -> Sequence[SourceSlice]:
    """The images behind the slices of a volume, in their order.

    Raises
    ------
    FileFormatError
        If the volume was not read from DICOM, or was resampled when it was.
    """
    header = volume.source.header if volume.source else None
    slices = header if isinstance(header, tuple) else ()
    if len(slices) != volume.shape[0] or not all(hasattr(each, "frame") for each in slices):
        raise FileFormatError(
            f"{volume.name}: a DICOM segmentation refers to the DICOM images that it lies on, "
            "which are not known here; name their folder as the image, or save as .seg.nrrd."
        )
    return slices


def read_sources(slices: Sequence[SourceSlice]) -> list[Any]:
    """Pydicom's data sets of the files behind `slices`, in their order, without pixels.

    A segmentation needs numbers (UIDs) that some files lack. They are taken from the file's own
    head, or made: the same ones each time for the same files, and of nothing that is in them.

    Raises
    ------
    OSError, ValueError
        If a file is gone or damaged.
    """
    import pydicom

    paths = list(dict.fromkeys(each.path for each in slices))
    sources = [pydicom.dcmread(path, stop_before_pixels=True) for path in paths]
    for path, source in zip(paths, sources, strict=True):
        _complete(source, path, paths[0])
    return sources


def _complete(source: Any, path: Path, first: Path) -> None:
    from pydicom.uid import generate_uid

    for name in _MAY_BE_EMPTY:
        if name not in source:
            setattr(source, name, "")
    for name, in_head in _OF_FILE.items():
        if not source.get(name):
            made = _CT_IMAGE if name == "SOPClassUID" else generate_uid(entropy_srcs=[str(path)])
            setattr(source, name, source.file_meta.get(in_head) or made)
    for name in _OF_SERIES:
        if not source.get(name):
            setattr(source, name, generate_uid(entropy_srcs=[name, str(first)]))
