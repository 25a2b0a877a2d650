"""Shapes that the user drew, as boxes in voxels with the labels they will get; and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.layers import Image, Shapes
from numpy.typing import NDArray

from napari_medsam_lite.core.boxes import Box2D, Box3D, KeyBox
from napari_medsam_lite.gui.viewer.box_layer import (
    LABEL_COLUMN,
    OPEN_SHAPES,
    Boxes,
    is_drawing,
    segment_numbers,
    whole_numbers,
)
from napari_medsam_lite.gui.viewer.geometry import Plane, transform

EXTENT_COLUMNS = ("first", "last")
FLAT = 0.5
"""A shape lies on one slice if it is thinner than this many voxels across the slices."""


@dataclass(frozen=True)
class DrawnBox:
    """A box as drawn.

    Attributes
    ----------
    row : int
        Its place in the Shapes layer.
    index : int
        The slice that it lies on.
    box : Box2D
        In voxels of the slice.
    extent : tuple of int or None
        First and last slice, where the file it came from knows them.
    number : int
        Of the segment that it belongs to; 0 if it has none yet.
    """

    row: int
    index: int
    box: Box2D
    extent: tuple[int, int] | None = None
    number: int = 0

    @property
    def has_area(self) -> bool:
        """Whether it is at least two voxels high and wide; a click leaves less."""
        return self.box.y1 > self.box.y0 and self.box.x1 > self.box.x0


def drawn_boxes(
    shapes: Shapes,
    image: Image,
    axis: int,
    boxes: Boxes | None = None,
    leading: tuple[int, ...] = (),
) -> list[DrawnBox]:
    """The boxes around the shapes that lie on slices across `axis` of volume `leading` of `image`.

    Any closed shape counts by its lowest and highest corner; lines and paths are left out, and so
    are shapes drawn across another axis or on another volume. `boxes` are the layer's shapes at
    another moment.
    """
    boxes = boxes or Boxes.of(shapes)
    extents = _extents(boxes.features) if axis == 0 else {}
    numbers = segment_numbers(boxes.features, len(boxes.kinds))
    found = []
    for row, (place, low, high) in _spans(shapes, image, boxes).items():
        if place == leading and high[axis] - low[axis] < FLAT:
            index, box = _middle(low[axis], high[axis]), _covered(low, high, axis)
            found.append(DrawnBox(row, index, box, extents.get(row), numbers[row]))
    return found


def drawn_last(
    shapes: Shapes, image: Image, axis: int, leading: tuple[int, ...] = ()
) -> DrawnBox | None:
    """The box around the shape that the mouse is drawing now; None if it draws none there.

    Parameters as those of `drawn_boxes`.
    """
    if not is_drawing(shapes) or not shapes.nshapes:
        return None
    one = Boxes((shapes.data[-1],), (str(shapes.shape_type[-1]),), shapes.features.iloc[-1:])
    found = drawn_boxes(shapes, image, axis, one, leading)
    return found[0] if found else None


def key_boxes(shapes: Shapes, image: Image) -> list[KeyBox]:
    """Every box that has an area, across whatever axis and on whatever volume it lies.

    A box is what an ellipse or polygon reaches; lines and paths are left out.
    """
    boxes, found = Boxes.of(shapes), []
    numbers, extents = segment_numbers(boxes.features, len(boxes.kinds)), _extents(boxes.features)
    for row, (leading, low, high) in _spans(shapes, image, boxes).items():
        axes = [axis for axis in range(3) if high[axis] - low[axis] < FLAT]
        if len(axes) != 1 or not numbers[row]:
            continue
        (axis,) = axes
        index = _middle(low[axis], high[axis])
        first, last = extents.get(row, (index, index)) if axis == 0 else (index, index)
        box = Box3D.from_plane(_covered(low, high, axis), axis, first, last, key=index)
        found.append(KeyBox(numbers[row], axis, box, leading))
    return found


def boxes_to_draw(found: Sequence[KeyBox], ndim: int) -> Boxes:
    """The shapes that show key boxes on an image of `ndim` dimensions."""
    import pandas

    ends = [key_box.box.extent(key_box.axis) for key_box in found]
    reach = [first < last for first, last in ends]
    features: dict[str, Any] = {LABEL_COLUMN: np.array([b.number for b in found], int)}
    if any(reach):
        for column, values in zip(EXTENT_COLUMNS, zip(*ends, strict=True), strict=True):
            features[column] = np.where(reach, values, -1)
    return Boxes(
        tuple(_corners_of(key_box, ndim) for key_box in found),
        ("rectangle",) * len(found),
        pandas.DataFrame(features),
    )


def _corners_of(key_box: KeyBox, ndim: int) -> NDArray[np.float64]:
    if ndim == 2:
        return key_box.corners[:, 1:]
    return np.hstack([np.tile(np.array(key_box.leading, float), (4, 1)), key_box.corners])


Span = tuple[tuple[int, ...], NDArray[np.float64], NDArray[np.float64]]
"""A volume, and the lowest and highest corner (z, y, x) in its voxels."""


def _spans(shapes: Shapes, image: Image, boxes: Boxes) -> dict[int, Span]:
    """Row -> what a closed shape reaches, in the voxels of `image`."""
    to_world, start = transform(shapes)
    matrix, offset = transform(image)
    to_voxels, shift = np.linalg.solve(matrix, to_world), np.linalg.solve(matrix, start - offset)
    found = {}
    for row, (vertices, kind) in enumerate(zip(boxes.vertices, boxes.kinds, strict=True)):
        if kind in OPEN_SHAPES:
            continue
        # Rounded, so that edges between two voxels do not fall to either side by chance.
        points = np.round(np.asarray(vertices, float) @ to_voxels.T + shift, 6)
        low, high = points.min(axis=0), points.max(axis=0)
        if image.ndim == 2:
            low, high = np.insert(low, 0, 0.0), np.insert(high, 0, 0.0)
        middles = zip(low[:-3], high[:-3], strict=True)
        leading = tuple(_middle(first, last) for first, last in middles)
        found[row] = leading, low[-3:], high[-3:]
    return found


def _extents(features: Any) -> dict[int, tuple[int, int]]:
    """Row -> first and last slice, of the shapes whose features name them."""
    if not set(EXTENT_COLUMNS) <= set(features):
        return {}
    ends = [whole_numbers(features[column], missing=-1) for column in EXTENT_COLUMNS]
    return {
        row: (first, last)
        for row, (first, last) in enumerate(zip(*ends, strict=True))
        if 0 <= first <= last
    }


def _middle(low: float, high: float) -> int:
    return int(np.floor((low + high) / 2 + 0.5))


def _covered(low: NDArray[np.float64], high: NDArray[np.float64], axis: int) -> Box2D:
    """The voxels that the box touches; voxel i reaches from i - 0.5 to i + 0.5."""
    y, x = (a for a in range(3) if a != axis)
    first, last = np.floor(low + 0.5).astype(int), np.ceil(high - 0.5).astype(int)
    return Box2D(int(first[y]), int(first[x]), int(last[y]), int(last[x]))


def rectangle(
    box: Box2D, plane: Plane, ndim: int = 3, leading: tuple[int, ...] = ()
) -> NDArray[np.float64]:
    """The (4, ndim) corners that draw `box` on `plane` of a Shapes layer made for the image.

    `leading` is the volume's place in an image of more than three dimensions.
    """
    flat = Box3D.from_plane(box, plane.axis, plane.index, plane.index)
    return _corners_of(KeyBox(0, plane.axis, flat, leading), ndim)
