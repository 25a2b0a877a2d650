"""The Shapes layer of boxes: whose each box is, and how it looks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.layers import Image, Shapes
from numpy.typing import NDArray

from napari_medsam_lite.core.segmentation import Segmentation
from napari_medsam_lite.engine.painting import HIGHEST_LABEL
from napari_medsam_lite.gui.viewer.geometry import place_of

LABEL_COLUMN = "label"
"""The feature of a box that says which segment it belongs to."""
NUMBERS = {"string": "{label}", "anchor": "upper_left", "size": 11}
"""What is written at a box.

No ``translation``: napari takes it in voxels, and an image may have few."""
NO_FEATURES: dict[str, Any] = {LABEL_COLUMN: 0, "first": -1, "last": -1, "name": ""}
"""What a new shape starts with, of the features that a reader may have given the others."""
OPEN_SHAPES = ("line", "path")
SELECTING = ("select", "direct")
DRAWING = ("add_rectangle", "add_ellipse", "add_polygon", "add_polygon_lasso")


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


def segment_numbers(features: Any, count: int) -> list[int]:
    """The segment of each of `count` shapes, as their features say."""
    if LABEL_COLUMN not in features:
        return [0] * count
    return whole_numbers(features[LABEL_COLUMN], missing=0)


def whole_numbers(column: Any, missing: int) -> list[int]:
    """A column of features as whole numbers; the user may have put anything in there."""
    import pandas

    numbers = pandas.to_numeric(column, errors="coerce")
    return [int(n) if np.isfinite(n) else missing for n in numbers.astype(float)]


def number_boxes(shapes: Shapes, current: int) -> list[int]:
    """The segment's number of every shape, kept in the layer's features; 0 for lines and paths.

    A box without a usable one goes to `current`.
    """
    features = shapes.features
    before = segment_numbers(features, len(shapes.data))
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
    numbers = whole_numbers(features[LABEL_COLUMN], missing=0)
    return {n: str(name) for n, name in zip(numbers, features["name"], strict=True) if name}


def dress_boxes(shapes: Shapes, segmentation: Segmentation) -> None:
    """Give each box the colour of its segment, and new ones what the current segment has.

    napari would give a new shape what the last or the selected one has.
    """
    numbers = whole_numbers(shapes.features[LABEL_COLUMN], missing=0)
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
        return set(segment_numbers(self.features, len(self.kinds)))

    def put_into(self, shapes: Shapes) -> None:
        """Make the layer's shapes these; the caller sees to it that nobody listens."""
        shapes.selected_data = set()
        shapes.remove(list(range(shapes.nshapes)))
        for kind, vertices in zip(self.kinds, self.vertices, strict=True):
            shapes.add(vertices, shape_type=kind)
        shapes.features = self.features


def is_drawing(shapes: Shapes) -> bool:
    """Whether the last shape is still being drawn; napari tells that nowhere else.

    Of a rectangle or ellipse, older napari tells only that the mouse has hold of a corner.
    """
    if getattr(shapes, "_is_creating", False):
        return True
    corner, *_ = getattr(shapes, "_moving_value", (None,))
    return shapes.mode in DRAWING and corner is not None


def selected_rows(shapes: Shapes | None) -> set[int]:
    """The shapes that the user picked with a selection tool.

    While a drawing tool is in use nothing counts as selected: napari selects what was drawn last.
    """
    if shapes is None or shapes.mode not in SELECTING:
        return set()
    return set(shapes.selected_data)
