"""Shapes that the user drew, as boxes in voxels with the labels they will get."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.layers import Image, Shapes
from numpy.typing import NDArray

from napari_medsam_lite.core.boxes import Box2D
from napari_medsam_lite.gui.viewer.geometry import LABEL_COLUMN, Plane, transform

OPEN_SHAPES = ("line", "path")
SELECTING = ("select", "direct")
FLAT = 0.5
"""A shape lies on one slice if it is thinner than this many voxels across the slices."""


@dataclass(frozen=True)
class DrawnBox:
    """A box as drawn: `row` is its place in the Shapes layer, `index` the slice it lies on."""

    row: int
    index: int
    box: Box2D


def drawn_boxes(shapes: Shapes, image: Image, axis: int) -> list[DrawnBox]:
    """The boxes around the shapes that lie on slices across `axis` of `image`.

    Any closed shape counts by its lowest and highest corner; lines and paths are left out, and so
    are shapes drawn across another axis.
    """
    to_world, start = transform(shapes)
    matrix, offset = transform(image)
    found = []
    for row, (vertices, kind) in enumerate(zip(shapes.data, shapes.shape_type, strict=True)):
        if kind in OPEN_SHAPES:
            continue
        world = np.asarray(vertices, float) @ to_world.T + start
        # Rounded, so that edges between two voxels do not fall to either side by chance.
        points = np.round(np.linalg.solve(matrix, (world - offset).T).T, 6)
        low, high = points.min(axis=0), points.max(axis=0)
        if image.ndim == 2:
            low, high = np.insert(low, 0, 0.0), np.insert(high, 0, 0.0)
        if high[axis] - low[axis] < FLAT:
            found.append(DrawnBox(row, _middle(low[axis], high[axis]), _covered(low, high, axis)))
    return found


def _middle(low: float, high: float) -> int:
    return int(np.floor((low + high) / 2 + 0.5))


def _covered(low: NDArray[np.float64], high: NDArray[np.float64], axis: int) -> Box2D:
    """The voxels that the box touches; voxel i reaches from i - 0.5 to i + 0.5."""
    first = np.floor(np.delete(low, axis) + 0.5).astype(int)
    last = np.ceil(np.delete(high, axis) - 0.5).astype(int)
    return Box2D(int(first[0]), int(first[1]), int(last[0]), int(last[1]))


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
    before = [int(label) for label in features[LABEL_COLUMN].fillna(0)]
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
    if ids != before:
        features[LABEL_COLUMN] = np.array(ids, int)
        shapes.features = features
    _leave_new_shapes_unlabelled(shapes)
    shapes.events.data.connect(_on_data)
    return ids


def _on_data(event: Any) -> None:
    _leave_new_shapes_unlabelled(event.source)


def _leave_new_shapes_unlabelled(shapes: Shapes) -> None:
    """Undo napari's default: a new shape would get the label of the last one, or the one selected.

    If that one has been removed since, nothing would tell that the label belongs to another mask.
    """
    defaults = shapes.feature_defaults
    if LABEL_COLUMN in defaults and defaults[LABEL_COLUMN][0] != 0:
        shapes.feature_defaults = defaults.assign(**{LABEL_COLUMN: 0})


def selected_rows(shapes: Shapes | None) -> set[int]:
    """The shapes that the user picked with a selection tool.

    While a drawing tool is in use nothing counts as selected: napari selects what was drawn last.
    """
    if shapes is None or shapes.mode not in SELECTING:
        return set()
    return set(shapes.selected_data)
