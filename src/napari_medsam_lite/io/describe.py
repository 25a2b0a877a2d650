"""What a file or a folder holds, in words and numbers; of DICOM by its headers alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.core.label_volume import LabelVolume, classes_in
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.io.affine import orientation_of
from napari_medsam_lite.io.dicom import list_dicom
from napari_medsam_lite.io.folders import list_cases
from napari_medsam_lite.io.formats import holds_labels, is_dicom, read_case, read_label_volume
from napari_medsam_lite.io.guard import is_folder, reading

if TYPE_CHECKING:
    from napari_medsam_lite.io.dicom_series import Series


@dataclass(frozen=True)
class ImageInfo:
    """One image or one set of labels.

    `number` is its place in the list of its file or folder, from 1; shape and spacing (mm) are in
    the order (z, y, x), and None, as the orientation, where the slices make no stack; `labels` are
    the numbers that are there, None for an image, and `names` theirs, "" where the file has none.
    """

    path: str
    number: int
    name: str
    description: str = ""
    modality: str = ""
    shape: tuple[int, int, int] | None = None
    spacing: tuple[float, float, float] | None = None
    orientation: str | None = None
    oblique: bool = False
    window: tuple[float, float] | None = None
    boxes: int = 0
    labels: tuple[int, ...] | None = None
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def describe(path: Path) -> list[ImageInfo]:
    """All that is at `path`.

    Raises
    ------
    MedSAMLiteError
        If it cannot be read, or there is nothing.
    """
    if not is_folder(path) and holds_labels(path):
        return [_of_labels(read_label_volume(path), path)]
    if is_dicom(path):
        with reading(path, "a DICOM image", folder=True):
            series = list_dicom(path)
        if not series:
            raise FileFormatError(f"{path} holds no DICOM image.")
        return [_of_series(one, number, path) for number, one in enumerate(series, start=1)]
    if is_folder(path):
        return [info for case in list_cases(path) for info in describe(case)]
    case = read_case(path)
    return [_of_volume(case.volume, path, boxes=len(case.boxes))]


def _of_labels(volume: LabelVolume, path: Path) -> ImageInfo:
    labels = tuple(each.number for each in classes_in(volume.data, ()))
    names = {each.number: each.name for each in volume.classes}
    told = tuple(names.get(label, "") for label in labels)
    return replace(_of_volume(volume, path), labels=labels, names=told)


def _of_volume(volume: Volume, path: Path, *, boxes: int = 0) -> ImageInfo:
    orientation, oblique = orientation_of(volume.affine)
    return ImageInfo(
        str(path),
        1,
        volume.name,
        modality=volume.modality,
        shape=volume.shape,
        spacing=volume.spacing,
        orientation=orientation,
        oblique=oblique,
        window=volume.window,
        boxes=boxes,
        notes=volume.notes,
    )


def _of_series(series: Series, number: int, path: Path) -> ImageInfo:
    first = series.slices[0]
    try:
        stack = series.stack()
    except FileFormatError as error:
        told = (*series.notes, str(error))
        return ImageInfo(
            str(path), number, series.name, series.description, first.modality, notes=told
        )
    orientation, oblique = orientation_of(stack.affine)
    return ImageInfo(
        str(path),
        number,
        series.name,
        series.description,
        first.modality,
        stack.shape,
        stack.spacing,
        orientation,
        oblique,
        first.window,
        notes=(*series.notes, *stack.notes),
    )
