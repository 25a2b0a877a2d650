"""Shapes that the user drew, as boxes in voxels with the labels they will get."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.layers import Image, Shapes
from numpy.typing import NDArray

from napari_medsam_lite.core.boxes import Box2D, Box3D, KeyBox
from napari_medsam_lite.core.segmentation import Segmentation
from napari_medsam_lite.engine.painting import HIGHEST_LABEL
from napari_medsam_lite.gui.viewer.geometry import Plane, place_of, transform

LABEL_COLUMN = "label"
"""The feature of a box that says which segment it belongs to."""
NUMBERS = {"string": "{label}", "anchor": "upper_left", "size": 11}
"""What is written at a box.

No ``translation``: napari takes it in voxels, and an image may have few."""
EXTENT_COLUMNS = ("first", "last")
NO_FEATURES: dict[str, Any] = {LABEL_COLUMN: 0, "first": -1, "last": -1, "name": ""}
"""What a new shape starts with, of the features that a reader may have given the others."""
OPEN_SHAPES = ("line", "path")
SELECTING = ("select", "direct")
DRAWING = ("add_rectangle", "add_ellipse", "add_polygon", "add_polygon_lasso")
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


def new_boxes_layer(image: Image) -> Shapes:
    """An empty Shapes layer in the place of `image`, for boxes."""
    return Shapes(
        name=f"{image.name} boxes",
        ndim=image.ndim,
        features={LABEL_COLUMN: np.empty(0, int)},
        feature_defaults={LABEL_COLUMN: 0},
        text=NUMBERS,
        edge_color="yellow",
        face_color="transparent",
        edge_width=_edge_width(image),
        **place_of(image),
    )


def _edge_width(image: Image) -> float:
    """In data units: about a 300th of the image, or napari's own 1 where that is more."""
    return max(1.0, float(max(image.data.shape[: image.ndim][-2:])) / 300)


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
    numbers = _segment_numbers(boxes.features, len(boxes.kinds))
    found = []
    for row, (place, low, high) in _spans(shapes, image, boxes).items():
        if place == leading and high[axis] - low[axis] < FLAT:
            index, box = _middle(low[axis], high[axis]), _covered(low, high, axis)
            found.append(DrawnBox(row, index, box, extents.get(row), numbers[row]))
    return found


def key_boxes(shapes: Shapes, image: Image) -> list[KeyBox]:
    """Every box that has an area, across whatever axis and on whatever volume it lies.

    A box is what an ellipse or polygon reaches; lines and paths are left out.
    """
    boxes, found = Boxes.of(shapes), []
    numbers, extents = _segment_numbers(boxes.features, len(boxes.kinds)), _extents(boxes.features)
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


def _segment_numbers(features: Any, count: int) -> list[int]:
    if LABEL_COLUMN not in features:
        return [0] * count
    return _numbers(features[LABEL_COLUMN], missing=0)


def _extents(features: Any) -> dict[int, tuple[int, int]]:
    """Row -> first and last slice, of the shapes whose features name them."""
    if not set(EXTENT_COLUMNS) <= set(features):
        return {}
    ends = [_numbers(features[column], missing=-1) for column in EXTENT_COLUMNS]
    return {
        row: (first, last)
        for row, (first, last) in enumerate(zip(*ends, strict=True))
        if 0 <= first <= last
    }


def _numbers(column: Any, missing: int) -> list[int]:
    """A column of features as whole numbers; the user may have put anything in there."""
    import pandas

    numbers = pandas.to_numeric(column, errors="coerce")
    return [int(n) if np.isfinite(n) else missing for n in numbers.astype(float)]


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


def number_boxes(shapes: Shapes, current: int) -> list[int]:
    """The segment's number of every shape, kept in the layer's features; 0 for lines and paths.

    A box without a usable one goes to `current`.
    """
    features = shapes.features
    before = _segment_numbers(features, len(shapes.data))
    numbers = [
        0 if kind in OPEN_SHAPES else number if 1 <= number <= HIGHEST_LABEL else current
        for number, kind in zip(before, shapes.shape_type, strict=True)
    ]
    if numbers != before or LABEL_COLUMN not in features:
        shapes.features = features.assign(**{LABEL_COLUMN: np.array(numbers, int)})
    return numbers


def move_boxes(shapes: Shapes, rows: set[int], number: int) -> None:
    """Give the boxes of `rows` to the segment of that number."""
    column = np.array(shapes.features[LABEL_COLUMN])
    column[sorted(rows)] = number
    shapes.features = shapes.features.assign(**{LABEL_COLUMN: column})


def names_of_boxes(shapes: Shapes) -> dict[int, str]:
    """Number -> the name that the file of the boxes had for it."""
    features = shapes.features
    if not {LABEL_COLUMN, "name"} <= set(features):
        return {}
    numbers = _numbers(features[LABEL_COLUMN], missing=0)
    return {n: str(name) for n, name in zip(numbers, features["name"], strict=True) if name}


def dress_boxes(shapes: Shapes, segmentation: Segmentation) -> None:
    """Give each box the colour of its segment, and new ones what the current segment has.

    napari would give a new shape what the last or the selected one has.
    """
    numbers = _numbers(shapes.features[LABEL_COLUMN], missing=0)
    colors = np.array([_color(segmentation, number) for number in numbers]).reshape(-1, 4)
    if colors.size and not np.allclose(shapes.edge_color, colors):
        shapes.edge_color = colors
    defaults = shapes.feature_defaults
    wanted = {**NO_FEATURES, LABEL_COLUMN: segmentation.current}
    wanted = {name: value for name, value in wanted.items() if name in defaults}
    if any(defaults[name][0] != value for name, value in wanted.items()):
        shapes.feature_defaults = defaults.assign(**wanted)


def _color(segmentation: Segmentation, number: int) -> tuple[float, float, float, float]:
    segment = segmentation.get(number)
    if segment is None:
        return 1.0, 1.0, 0.0, 1.0
    red, green, blue = (part / 255 for part in segment.color)
    return red, green, blue, 1.0 if segment.visible else 0.0


@dataclass(frozen=True, eq=False)
class Boxes:
    """A Shapes layer's shapes at one moment.

    Attributes
    ----------
    vertices : tuple of ndarray
        Of each shape, as `Shapes.data`.
    kinds : tuple of str
        As `Shapes.shape_type`.
    features : DataFrame
        A row a shape.
    """

    vertices: tuple[NDArray[np.float64], ...]
    kinds: tuple[str, ...]
    features: Any

    @classmethod
    def of(cls, shapes: Shapes) -> Boxes:
        """What is there now."""
        kinds = tuple(str(kind) for kind in shapes.shape_type)
        return cls(tuple(np.array(v) for v in shapes.data), kinds, shapes.features.copy())

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Boxes)
            and self.kinds == other.kinds
            and all(map(np.array_equal, self.vertices, other.vertices))
            and self.features.equals(other.features)
        )

    @property
    def numbers(self) -> set[int]:
        """The segments that have a box."""
        return set(_segment_numbers(self.features, len(self.kinds)))

    def put_into(self, shapes: Shapes) -> None:
        """Make the layer's shapes these; the caller sees to it that nobody listens."""
        shapes.selected_data = set()
        shapes.remove(list(range(shapes.nshapes)))
        for kind, vertices in zip(self.kinds, self.vertices, strict=True):
            shapes.add(vertices, shape_type=kind)
        shapes.features = self.features


def selected_rows(shapes: Shapes | None) -> set[int]:
    """The shapes that the user picked with a selection tool.

    While a drawing tool is in use nothing counts as selected: napari selects what was drawn last.
    """
    if shapes is None or shapes.mode not in SELECTING:
        return set()
    return set(shapes.selected_data)
