"""Images and labels, read and written in the format that the file's name chooses."""

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
from napari_medsam_lite.io.guard import reading
from napari_medsam_lite.io.labelsets import write_label_set
from napari_medsam_lite.io.registry import file_suffix, format_of, format_to_write
from napari_medsam_lite.io.written import add_sidecar, check_written, labels_to_write, sidecar_path


def is_ours(path: str | Path) -> bool:
    """Whether `path` is a file that can be read here: reads no more than a list of contents."""
    try:
        row = format_of(path)
        with reading(path, row.what, folder=row.in_folders):
            return row.is_ours(Path(path))
    except FileFormatError:
        return False


def is_dicom(path: str | Path) -> bool:
    """Whether `path` is a DICOM file, or a folder with such files."""
    try:
        return format_of(path).in_folders
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
    row = format_of(path)
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
    row = format_of(path)
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
    row = format_of(path)
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
    progress: Callable[[str], None] | None = None,
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
    progress : callable, optional
        Called with what is done next. If it raises, nothing is saved.

    Raises
    ------
    FileFormatError
        If the labels do not fit, the suffix is unknown, or the file cannot be written.
    """
    row = format_to_write(path)
    written = labels_to_write(labels, volume, classes)
    if volume.source and _is_image(path, volume.source):
        raise FileFormatError(f"{path} is the image itself; give the labels another name.")
    assert row.write is not None
    tell = progress or (lambda _: None)
    with replacing(path, overwrite=overwrite) as temporary:
        tell("Writing")
        row.write(temporary, written, Case(volume, gts=gts))
        tell("Reading back")
        with reading(temporary, row.what):
            found = row.read_labels(temporary)
        check_written(path, found, written, keeps_place=row.keeps_place)
        tell("Renaming")
    if written.classes and not row.keeps_codes:
        write_label_set(sidecar_path(path, file_suffix(path)), LabelSet("", written.classes))


def check_can_write(path: str | Path) -> None:
    """Raise FileFormatError unless labels can be written in the format that `path` ends with."""
    format_to_write(path)


def keeps_place(path: str | Path) -> bool:
    """Whether the file at `path`, or a folder, is of a format that tells where its voxels lie."""
    return format_of(path).keeps_place


def _is_image(path: str | Path, source: Source) -> bool:
    """Whether `path` is the image; labels have their own file as source, and may go there again."""
    if identity_of(path) not in map(identity_of, (source.path, *source.files)):
        return False
    return is_there(path) and not holds_labels(path)
