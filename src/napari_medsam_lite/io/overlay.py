"""The picture of a result: one slice in grey with coloured labels and boxes, as a PNG file.

The slice is enlarged by a whole number until its longest side has at least 512 pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.errors import FileFormatError, UnsupportedImageError
from napari_medsam_lite.core.files import replacing
from napari_medsam_lite.core.labelset import LabelClass
from napari_medsam_lite.core.volume import Volume, check_finite
from napari_medsam_lite.core.window import Limits, parse_window
from napari_medsam_lite.io.drawing import Picture, Sheet, shape_within, size_mm
from napari_medsam_lite.io.lettering import draw_scale_bar, legend

PICTURE = ".png"
SIDE = 512
SMALL_SIDE, SMALL_COLOURS = 320, 256


def save_overlay(
    path: str | Path,
    volume: Volume,
    labels: NDArray[Any],
    boxes: Sequence[Box3D] = (),
    index: int | None = None,
    *,
    axis: int = 0,
    limits: Limits | None = None,
    ids: Sequence[int] = (),
    classes: Sequence[LabelClass] = (),
) -> int:
    """Write one slice with its labels and boxes as a PNG file; returns which slice it was.

    Parameters
    ----------
    path : path
        Ends with ``.png``.
    volume : Volume
        The image.
    labels : ndarray
        (Z, Y, X) whole numbers, 0 for background. A label keeps its colour from picture to picture.
    boxes : sequence of Box3D
        Outlined in the colour of their label, on their key slice or, without one, on all slices
        that they reach.
    index : int, optional
        The slice; default the middle of the labelled ones, or of the volume if there are none.
    axis : int
        The axis across which the slice lies.
    limits : Limits, optional
        The values shown black and white; default the window that segmentation would choose.
    ids : sequence of int
        The label of each box; default 1, 2, 3, ...
    classes : sequence of LabelClass
        Names and colours of labels. With them, a legend and a scale bar are drawn.

    Raises
    ------
    UnsupportedImageError
        If labels and image differ in shape, or there is no such slice.
    FileFormatError
        If the file cannot be written.
    """
    check_picture_name(path)
    index = middle_slice(labels, axis) if index is None else index
    picture = draw_overlay(
        volume, labels, boxes, index, axis=axis, limits=limits, ids=ids, classes=classes
    )
    write_picture(path, picture)
    return index


def check_picture_name(path: str | Path) -> None:
    """Raise FileFormatError unless `path` is the name of a picture that can be written."""
    if Path(path).suffix.lower() != PICTURE:
        raise FileFormatError(f"{path}: overlays are PNG files; let the name end with {PICTURE}.")


def draw_overlay(
    volume: Volume,
    labels: NDArray[Any],
    boxes: Sequence[Box3D],
    index: int,
    *,
    axis: int = 0,
    limits: Limits | None = None,
    ids: Sequence[int] = (),
    classes: Sequence[LabelClass] = (),
) -> Picture:
    """Draw what `save_overlay` writes: (H, W, 3) uint8."""
    check_labels(volume, labels, [index], axis)
    sheet = sheet_of(volume, axis, limits, boxes, ids, classes)
    plane = np.moveaxis(labels, axis, 0)[index]
    picture = sheet.draw(index, plane)
    if not classes:
        return picture
    draw_scale_bar(picture, sheet.pixels_a_mm)
    return with_legend(picture, sheet, np.unique(plane).tolist())


def small_overlay(
    volume: Volume,
    plane: NDArray[Any],
    index: int,
    boxes: Sequence[Box3D],
    *,
    axis: int,
    limits: Limits,
    ids: Sequence[int] = (),
    classes: Sequence[LabelClass] = (),
) -> bytes:
    """A PNG of some 20 to 60 KB of slice `index`, whose labels are `plane` (rows, columns)."""
    sheet = sheet_of(volume, axis, limits, boxes, ids, classes, SMALL_SIDE)
    return to_png(sheet.draw(index, plane), SMALL_COLOURS)


def sheet_of(
    volume: Volume,
    axis: int,
    limits: Limits | None = None,
    boxes: Sequence[Box3D] = (),
    ids: Sequence[int] = (),
    classes: Sequence[LabelClass] = (),
    side: float | None = None,
) -> Sheet:
    """How slices are drawn: `side` pixels long, or as the module says."""
    spacing = [s for a, s in enumerate(volume.spacing) if a != axis]
    longest = max(size_mm(volume, axis)) / min(spacing)
    whole = longest * max(math.ceil(SIDE / longest), 1)
    shape = shape_within(volume, axis, side or whole)
    limits = limits or parse_window(None, volume).fit(volume)
    return Sheet(volume, axis, limits, shape, boxes, ids, classes)


def with_legend(picture: Picture, sheet: Sheet, numbers: Sequence[int]) -> Picture:
    """The picture, and below it the names of those labels and of the boxes."""
    shown = {*numbers, *sheet.ids}
    named = [each for each in sheet.classes if each.number in shown]
    return np.concatenate([picture, legend(named, picture.shape[1])])


def check_labels(volume: Volume, labels: NDArray[Any], indices: Sequence[int], axis: int) -> None:
    """Raise UnsupportedImageError unless these slices of image and labels can be drawn."""
    if labels.shape != volume.shape:
        raise UnsupportedImageError(
            f"The labels of shape {labels.shape} do not fit the image of shape {volume.shape}."
        )
    for index in indices:
        if not 0 <= index < volume.shape[axis]:
            last = volume.shape[axis] - 1
            raise UnsupportedImageError(
                f"{volume.name}: there is no slice {index}; they go from 0 to {last}."
            )
    check_finite(volume)


def write_picture(path: str | Path, picture: Picture) -> None:
    """Write a PNG file.

    Raises
    ------
    FileFormatError
        If it cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(to_png(picture))


def to_png(picture: Picture, colours: int = 0) -> bytes:
    """A PNG file's content; with no more than so many `colours` it is smaller."""
    image, held = Image.fromarray(picture), BytesIO()
    if colours:
        # Not the median cut: of a slice that is mostly grey it merges the labels' colours.
        image = image.quantize(colours, Image.Quantize.MAXCOVERAGE)
    image.save(held, "png", optimize=bool(colours))
    return held.getvalue()


def middle_slice(labels: NDArray[Any], axis: int) -> int:
    """The middle one of the labelled slices, or of all."""
    labelled = labelled_slices(labels, axis)
    return int(labelled[labelled.size // 2]) if labelled.size else labels.shape[axis] // 2


def labelled_slices(labels: NDArray[Any], axis: int) -> NDArray[np.intp]:
    """The slices across `axis` with a label, in order."""
    others = tuple(a for a in range(3) if a != axis)
    return np.flatnonzero((labels != 0).any(axis=others))
