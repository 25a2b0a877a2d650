"""Shapes that the user drew, as boxes in voxels with the labels they will get."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.layers import Image, Shapes
from numpy.typing import NDArray
from qtpy.QtCore import QTimer

from napari_medsam_lite.core.boxes import Box2D
from napari_medsam_lite.engine.painting import check_ids
from napari_medsam_lite.gui.viewer.geometry import Plane, place_of, transform

LABEL_COLUMN = "label"
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
    """

    row: int
    index: int
    box: Box2D
    extent: tuple[int, int] | None = None

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
        edge_color="yellow",
        face_color="transparent",
        edge_width=_edge_width(image),
        **place_of(image),
    )


def _edge_width(image: Image) -> float:
    """In data units: about a 300th of the image, or napari's own 1 where that is more."""
    return max(1.0, float(max(image.data.shape[: image.ndim][-2:])) / 300)


def drawn_boxes(shapes: Shapes, image: Image, axis: int) -> list[DrawnBox]:
    """The boxes around the shapes that lie on slices across `axis` of `image`.

    Any closed shape counts by its lowest and highest corner; lines and paths are left out, and so
    are shapes drawn across another axis.
    """
    to_world, start = transform(shapes)
    matrix, offset = transform(image)
    to_voxels, shift = np.linalg.solve(matrix, to_world), np.linalg.solve(matrix, start - offset)
    extents = _extents(shapes) if axis == 0 else {}
    found = []
    for row, (vertices, kind) in enumerate(zip(shapes.data, shapes.shape_type, strict=True)):
        if kind in OPEN_SHAPES:
            continue
        # Rounded, so that edges between two voxels do not fall to either side by chance.
        points = np.round(np.asarray(vertices, float) @ to_voxels.T + shift, 6)
        low, high = points.min(axis=0), points.max(axis=0)
        if image.ndim == 2:
            low, high = np.insert(low, 0, 0.0), np.insert(high, 0, 0.0)
        if high[axis] - low[axis] < FLAT:
            index, box = _middle(low[axis], high[axis]), _covered(low, high, axis)
            found.append(DrawnBox(row, index, box, extents.get(row)))
    return found


def _extents(shapes: Shapes) -> dict[int, tuple[int, int]]:
    """Row -> first and last slice, of the shapes whose features name them."""
    features = shapes.features
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


def rectangle(box: Box2D, plane: Plane, ndim: int = 3) -> NDArray[np.float64]:
    """The (4, ndim) corners that draw `box` on `plane` of a Shapes layer made for the image."""
    corners = np.array(
        [(box.y0, box.x0), (box.y0, box.x1), (box.y1, box.x1), (box.y1, box.x0)], float
    )
    return corners if ndim == 2 else np.insert(corners, plane.axis, plane.index, axis=1)


def label_boxes(shapes: Shapes, free: Callable[[], int]) -> list[int]:
    """The label of every shape, kept in the layer's features; 0 for lines and paths.

    A box without one, or with the label of an earlier box (napari copies features when shapes are
    pasted), gets the next number that no box has, `free()` or higher; it is asked only then,
    because it may have to look at every voxel.
    """
    features = shapes.features.copy()
    if LABEL_COLUMN not in features:
        features[LABEL_COLUMN] = 0
    before = _numbers(features[LABEL_COLUMN], missing=0)
    ids = [
        0 if kind in OPEN_SHAPES else label
        for label, kind in zip(before, shapes.shape_type, strict=True)
    ]
    missing = [
        row
        for row, kind in enumerate(shapes.shape_type)
        if kind not in OPEN_SHAPES and (ids[row] < 1 or ids[row] in ids[:row])
    ]
    if missing:
        first = max([free(), *(label + 1 for label in ids)])
        for number, row in enumerate(missing, start=first):
            ids[row] = number
        check_ids(ids[row] for row in missing)
    if ids != before:
        features[LABEL_COLUMN] = np.array(ids, int)
        shapes.features = features
    return ids


def watch_boxes(shapes: Shapes) -> None:
    """Keep clicks from becoming boxes, and new boxes from taking the label of others."""
    _leave_new_shapes_unlabelled(shapes)
    shapes.events.data.connect(_on_data)


def _on_data(event: Any) -> None:
    shapes = event.source
    _leave_new_shapes_unlabelled(shapes)
    if str(event.action) == "added" and shapes.mode in DRAWING:
        # Later, for napari is still busy with the shape that it has just finished.
        QTimer.singleShot(0, lambda: _drop_a_click(shapes))


def drop_clicks(shapes: Shapes) -> None:
    """Remove what a press of the button left, without a drag.

    napari itself leaves one where the slider stands between two slices: it fails there.
    """
    sides = _sides(shapes)
    _remove(shapes, [row for row, pair in enumerate(sides) if _is_click(shapes, pair)])


def _drop_a_click(shapes: Shapes) -> None:
    """Remove the newest shape if it is a click, or no wider than a voxel in one direction."""
    sides = _sides(shapes)
    if sides and (_is_click(shapes, sides[-1]) or sides[-1].min() < 1):
        _remove(shapes, [len(sides) - 1])


def _is_click(shapes: Shapes, sides: NDArray[np.float64]) -> bool:
    """Whether a shape is as napari begins one: a square of half a vertex, whatever the zoom."""
    click = getattr(shapes, "_normalized_vertex_radius", 0) / 2
    return bool((np.abs(sides - click) <= 0.01 * click).all())


def _sides(shapes: Shapes) -> list[NDArray[np.float64]]:
    """The two longest extents of each shape, in data units; of lines and paths, endless."""
    return [
        np.full(2, np.inf)
        if kind in OPEN_SHAPES
        else np.sort(np.ptp(np.asarray(vertices, float), axis=0))[-2:]
        for vertices, kind in zip(shapes.data, shapes.shape_type, strict=True)
    ]


def _remove(shapes: Shapes, rows: list[int]) -> None:
    if rows:
        shapes.selected_data = set(rows)
        shapes.remove_selected()


def _leave_new_shapes_unlabelled(shapes: Shapes) -> None:
    """Undo napari's default: a new shape would get label, name and range of the last or selected.

    If that one has been removed since, nothing would tell that the label belongs to another mask.
    """
    defaults = shapes.feature_defaults
    wanted = {name: value for name, value in NO_FEATURES.items() if name in defaults}
    if any(defaults[name][0] != value for name, value in wanted.items()):
        shapes.feature_defaults = defaults.assign(**wanted)


def selected_rows(shapes: Shapes | None) -> set[int]:
    """The shapes that the user picked with a selection tool.

    While a drawing tool is in use nothing counts as selected: napari selects what was drawn last.
    """
    if shapes is None or shapes.mode not in SELECTING:
        return set()
    return set(shapes.selected_data)
