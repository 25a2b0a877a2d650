"""DICOM through pydicom: series of files, multi-frame and enhanced files, in their place.

Rows and columns stay as they are stored, slices go along their normal; the affine tells where that
is. Nothing of the patient is kept: no name, number or date.

pydicom is imported where it is used: it takes half a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_medsam_lite.core.case import Case
from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.core.volume import Source, Volume
from napari_medsam_lite.io.dicom_files import find_files, looks_like_dicom

if TYPE_CHECKING:
    from napari_medsam_lite.io.dicom_pixels import Progress
    from napari_medsam_lite.io.dicom_series import Series

WHAT = "a DICOM image"


def read_dicom(path: Path, series: str | None = None, progress: Progress | None = None) -> Case:
    """Read one series of a file or a folder.

    Parameters
    ----------
    path : Path
        A file, or a folder whose files and folders are looked through.
    series : str, optional
        Number in the list that `list_dicom` gives, from 1, or a part of the description. Needed
        where there are several volumes.
    progress : callable, optional
        Called with (slices done, slices in all).

    Returns
    -------
    Case
        The volume alone, (Z, Y, X): whole numbers where the rescaled values are, else float32. Its
        `source.header` is the tuple of `Slice` behind its slices, for writers that refer to them;
        empty where the stack was resampled.

    Raises
    ------
    FileFormatError
        If there is no image or no choice between several, or the slices lie too unevenly.
    UnsupportedImageError
        If it is in colour, or compressed in a way that cannot be read.
    ValueError, OSError
        If a file is damaged.
    """
    from napari_medsam_lite.io.dicom_series import choose

    return Case(read_series(choose(list_dicom(path), series, path), path, progress))


def find_volumes(source: Path, paths: Sequence[Path]) -> tuple[list[Series], list[str]]:
    """The series of files and folders that are volumes, the largest first; reads headers only.

    Series of few images, such as localizers, are left out where there are volumes beside them.

    Parameters
    ----------
    source : Path
        For messages: what the files are from.
    paths : sequence of Path
        The files and folders.

    Returns
    -------
    series : list of Series
        At least one.
    told : list of str
        What was left out.

    Raises
    ------
    FileFormatError
        If a file is damaged, or there is no image.
    """
    from napari_medsam_lite.io.dicom_series import find_series, with_volumes

    series = find_series([file for path in paths for file in find_files(path)])
    if not series:
        raise FileFormatError(f"{source} holds no DICOM image.")
    chosen = sorted(with_volumes(series), key=lambda one: -len(one.slices))
    few = len(series) - len(chosen)
    told = [f"{few} series of few images, such as localizers, not opened."] if few else []
    return chosen, told


def list_dicom(path: Path) -> list[Series]:
    """The series of a file or a folder: reads headers only."""
    from napari_medsam_lite.io.dicom_series import find_series

    return find_series(list(find_files(path)))


def dicom_is_ours(path: Path) -> bool:
    """Whether it starts as DICOM files do, or is a folder with such files; reads no header."""
    if path.is_dir():
        return any(True for _ in find_files(path))
    return looks_like_dicom(path)


def read_series(
    series: Series, path: Path, progress: Progress | None = None, *, later: bool = False
) -> Volume:
    """Read the voxels of one of the series of `path`; errors as `read_dicom`.

    With `later`, the slices of a long series are decoded as they are looked at.
    """
    from napari_medsam_lite.io.dicom_attributes import parsing
    from napari_medsam_lite.io.dicom_lazy import lazily
    from napari_medsam_lite.io.dicom_pixels import read_pixels

    stack = series.stack()
    data: Any = lazily(stack) if later else None
    told: tuple[str, ...] = ()
    if data is None:
        with parsing():
            data, told = read_pixels(stack, progress)
    files = tuple(dict.fromkeys(one.path for one in series.slices))
    middle = stack.slices[len(stack.slices) // 2]
    return Volume(
        data,
        stack.spacing,
        stack.affine,
        series.name,
        Source(path, stack.slices if stack.as_stored else (), files),
        middle.modality,
        middle.window,
        (*series.notes, *stack.notes, *told),
    )
