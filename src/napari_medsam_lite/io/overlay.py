"""The picture of a result: one slice in grey with coloured labels and boxes, as a PNG file.

Distances are true in both directions: the slice is stretched by its spacing, then enlarged by a
whole number until the longest side has at least 512 pixels. Images whose place in the body is known
are shown as radiologists do: front and head up, the patient's right on the left.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.errors import FileFormatError, UnsupportedImageError
from napari_medsam_lite.core.files import replacing
from napari_medsam_lite.core.volume import Volume, check_finite
from napari_medsam_lite.core.window import Limits, parse_window

PICTURE = ".png"
SIDE = 512
FILL = 0.35  # how much of a label's colour covers the image
# Okabe and Ito's colours, told apart also by the colour-blind; then they repeat.
COLOURS = np.array(
    [
        (230, 159, 0),
        (86, 180, 233),
        (0, 158, 115),
        (240, 228, 66),
        (213, 94, 0),
        (204, 121, 167),
        (0, 114, 178),
    ],
    np.float32,
)
Colour = NDArray[np.float32]


def save_overlay(
    path: str | Path,
    volume: Volume,
    labels: NDArray[Any],
    boxes: Sequence[Box3D] = (),
    index: int | None = None,
    *,
    axis: int = 0,
    limits: Limits | None = None,
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
        Those that reach the slice are outlined; box i has the colour of label i + 1.
    index : int, optional
        The slice; default the middle of the labelled ones, or of the volume if there are none.
    axis : int
        The axis across which the slice lies.
    limits : Limits, optional
        The values shown black and white; default the window that segmentation would choose.

    Raises
    ------
    UnsupportedImageError
        If labels and image differ in shape, or there is no such slice.
    FileFormatError
        If the file cannot be written.
    """
    check_picture_name(path)
    index = _middle(labels, axis) if index is None else index
    _write(path, draw_overlay(volume, labels, boxes, index, axis=axis, limits=limits))
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
) -> NDArray[np.uint8]:
    """Draw what `save_overlay` writes: (H, W, 3) uint8."""
    if labels.shape != volume.shape:
        raise UnsupportedImageError(
            f"The labels of shape {labels.shape} do not fit the image of shape {volume.shape}."
        )
    if not 0 <= index < volume.shape[axis]:
        raise UnsupportedImageError(
            f"{volume.name}: there is no slice {index}; they go from 0 to {volume.shape[axis] - 1}."
        )
    check_finite(volume)
    plane = volume.slices(axis, [index])[0]
    limits = limits or parse_window(None, volume).fit(volume)
    grey = plane if volume.is_colour else np.repeat(limits.to_uint8(plane)[..., None], 3, axis=2)
    flips = _flips(volume, axis)
    shape = _picture_shape(volume, axis)
    image = _enlarge(grey, shape, flips).astype(np.float32)
    shown = _enlarge(np.moveaxis(labels, axis, 0)[index], shape, flips)
    _blend_labels(image, shown)
    for number, box in enumerate(boxes, start=1):
        first, last = box.extent(axis)
        if first <= index <= last:
            _outline(image, box, axis, volume.plane_shape(axis), flips, _colour(number))
    return image.round().astype(np.uint8)


def _write(path: str | Path, picture: NDArray[np.uint8]) -> None:
    import imageio.v3 as iio

    with replacing(path) as temporary:
        iio.imwrite(temporary, picture, extension=PICTURE)


def _middle(labels: NDArray[Any], axis: int) -> int:
    """The middle one of the labelled slices, or of all."""
    others = tuple(a for a in range(3) if a != axis)
    labelled = np.flatnonzero((labels != 0).any(axis=others))
    return int(labelled[labelled.size // 2]) if labelled.size else labels.shape[axis] // 2


def _flips(volume: Volume, axis: int) -> tuple[bool, bool]:
    """Whether rows and columns are to be turned round: those that run to front, head or right."""
    if volume.source is None:
        return False, False
    directions = volume.affine[:3, :3]
    rows, columns = (directions[:, a] for a in range(3) if a != axis)
    return bool(rows[np.abs(rows).argmax()] > 0), bool(columns[np.abs(columns).argmax()] > 0)


def _picture_shape(volume: Volume, axis: int) -> tuple[int, int]:
    """(H, W) of the picture: a whole multiple of the finer side's voxels, stretched by spacing."""
    spacing = [s for a, s in enumerate(volume.spacing) if a != axis]
    height, width = (
        n * s / min(spacing) for n, s in zip(volume.plane_shape(axis), spacing, strict=True)
    )
    factor = max(math.ceil(SIDE / max(height, width)), 1)
    return max(round(height * factor), 1), max(round(width * factor), 1)


def _enlarge(plane: NDArray[Any], shape: tuple[int, int], flips: tuple[bool, bool]) -> NDArray[Any]:
    """The nearest voxel for each pixel: the voxels stay visible."""
    take = []
    for pixels, voxels, flip in zip(shape, plane.shape, flips, strict=False):
        nearest = (np.arange(pixels) + 0.5) * voxels // pixels
        take.append(nearest.astype(int)[:: -1 if flip else 1])
    return plane[np.ix_(*take)]


def _colour(label: int) -> Colour:
    return np.asarray(COLOURS[(label - 1) % len(COLOURS)])


def _blend_labels(image: NDArray[np.float32], labels: NDArray[Any]) -> None:
    """Tint the labels and draw their contours in full colour, in place."""
    from skimage.segmentation import find_boundaries

    there = labels != 0
    colours = COLOURS[(labels[there].astype(int) - 1) % len(COLOURS)]
    image[there] = (1 - FILL) * image[there] + FILL * colours
    edge = find_boundaries(labels, mode="inner")
    image[edge] = COLOURS[(labels[edge].astype(int) - 1) % len(COLOURS)]


def _outline(
    image: NDArray[np.float32],
    box: Box3D,
    axis: int,
    plane_shape: tuple[int, int],
    flips: tuple[bool, bool],
    colour: Colour,
) -> None:
    """Draw the outline around the voxels of a box, two pixels wide, in place."""
    flat = box.plane(axis)
    spans = []
    for low, high, voxels, pixels, flip in zip(
        (flat.y0, flat.x0), (flat.y1, flat.x1), plane_shape, image.shape, flips, strict=False
    ):
        ends = np.array([low, high + 1]) * pixels / voxels
        ends = np.sort(pixels - ends if flip else ends)
        spans.append(np.clip(ends.round().astype(int), 0, pixels).tolist())
    (top, bottom), (left, right) = spans
    frame = image[top:bottom, left:right]
    for edge in (frame[:2], frame[-2:], frame[:, :2], frame[:, -2:]):
        edge[...] = colour
