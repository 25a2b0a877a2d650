"""One slice in grey with coloured labels and boxes, as pixels.

Distances are true in both directions: the slice is stretched by its spacing. Images whose place in
the body is known are shown as radiologists do: front and head up, the patient's right on the left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.labelset import Color, LabelClass, color_of
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.core.window import Limits

Picture = NDArray[np.uint8]
Pixels = NDArray[np.float32]
FILL = 0.35
"""How much of a label's colour covers the image."""
EDGE = 2
"""Pixels that the outline of a box is wide."""


@dataclass(frozen=True)
class Sheet:
    """How the slices of a volume across one axis are drawn.

    Attributes
    ----------
    volume : Volume
        The image.
    axis : int
        The axis across which the slices lie.
    limits : Limits
        The values shown black and white.
    shape : tuple of int
        (H, W) of the picture of a slice in pixels.
    boxes : sequence of Box3D
        Outlined on their key slice, or without one on all that they reach.
    ids : sequence of int
        The label of each box; empty means 1, 2, 3, ...
    classes : sequence of LabelClass
        Whose colours the labels have; others have those of their numbers.
    """

    volume: Volume
    axis: int
    limits: Limits
    shape: tuple[int, int]
    boxes: Sequence[Box3D] = ()
    ids: Sequence[int] = ()
    classes: Sequence[LabelClass] = ()

    @property
    def pixels_a_mm(self) -> float:
        """In both directions."""
        width = self.volume.plane_shape(self.axis)[1]
        spacing = [s for a, s in enumerate(self.volume.spacing) if a != self.axis][1]
        return self.shape[1] / (width * spacing)

    def draw(self, index: int, labels: NDArray[Any]) -> Picture:
        """Slice `index` as (H, W, 3) uint8; `labels` (rows, columns) are those of this slice."""
        plane = self.volume.slices(self.axis, [index])[0]
        is_colour = self.volume.is_colour
        grey = plane if is_colour else self.limits.to_uint8(plane)[..., None].repeat(3, axis=2)
        flips = _flips(self.volume, self.axis)
        image = _resized(grey, self.shape, flips).astype(np.float32)
        colors = {each.number: each.color for each in self.classes}
        _blend(image, nearest(labels, self.shape, flips), colors)
        for label, box in zip(self.ids or range(1, len(self.boxes) + 1), self.boxes, strict=True):
            first, last = box.extent(self.axis) if box.key is None else (box.key, box.key)
            if first <= index <= last:
                color = colors.get(label, color_of(label))
                _outline(image, box, self.axis, plane.shape[:2], flips, color)
        return image.round().astype(np.uint8)


def shape_within(volume: Volume, axis: int, side: float) -> tuple[int, int]:
    """(H, W) of a slice's picture with square pixels, its longer side `side` pixels."""
    height, width = size_mm(volume, axis)
    factor = side / max(height, width)
    return max(round(height * factor), 1), max(round(width * factor), 1)


def size_mm(volume: Volume, axis: int) -> tuple[float, float]:
    """Height and width of a slice in mm."""
    spacing = (s for a, s in enumerate(volume.spacing) if a != axis)
    height, width = (n * s for n, s in zip(volume.plane_shape(axis), spacing, strict=True))
    return height, width


def nearest(
    plane: NDArray[Any], shape: tuple[int, int], flips: tuple[bool, bool] = (False, False)
) -> NDArray[Any]:
    """The nearest voxel for each pixel."""
    take = []
    for pixels, voxels, flip in zip(shape, plane.shape, flips, strict=False):
        near = (np.arange(pixels) + 0.5) * voxels // pixels
        take.append(near.astype(int)[:: -1 if flip else 1])
    return plane[np.ix_(*take)]


def _resized(plane: Picture, shape: tuple[int, int], flips: tuple[bool, bool]) -> Picture:
    """Voxels stay visible where each has room for itself; where not, several share a pixel."""
    if shape[0] >= plane.shape[0] and shape[1] >= plane.shape[1]:
        return nearest(plane, shape, flips)
    turned = plane[:: -1 if flips[0] else 1, :: -1 if flips[1] else 1]
    picture = Image.fromarray(np.ascontiguousarray(turned))
    return np.asarray(picture.resize(shape[::-1], Image.Resampling.BILINEAR))


def _flips(volume: Volume, axis: int) -> tuple[bool, bool]:
    """Whether rows and columns are to be turned round: those that run to front, head or right."""
    if volume.source is None:
        return False, False
    directions = volume.affine[:3, :3]
    rows, columns = (directions[:, a] for a in range(3) if a != axis)
    return bool(rows[np.abs(rows).argmax()] > 0), bool(columns[np.abs(columns).argmax()] > 0)


def _blend(image: Pixels, labels: NDArray[Any], colors: Mapping[int, Color]) -> None:
    """Tint the labels and draw their contours in full colour, in place."""
    from skimage.segmentation import find_boundaries

    edge = find_boundaries(labels, mode="inner")
    for label in np.unique(labels[labels != 0]).tolist():
        color = np.asarray(colors.get(label, color_of(label)), np.float32)
        there = labels == label
        image[there] = (1 - FILL) * image[there] + FILL * color
        image[there & edge] = color


def _outline(
    image: Pixels,
    box: Box3D,
    axis: int,
    plane_shape: tuple[int, ...],
    flips: tuple[bool, bool],
    color: Color,
) -> None:
    """Draw the outline around the voxels of a box, in place."""
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
    for edge in (frame[:EDGE], frame[-EDGE:], frame[:, :EDGE], frame[:, -EDGE:]):
        edge[...] = color
