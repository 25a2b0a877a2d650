"""Clicks with a drawing tool: napari makes shapes of them, which are no boxes."""

from __future__ import annotations

import numpy as np
from napari.layers import Shapes
from numpy.typing import NDArray

from napari_medsam_lite.gui.viewer.box_layer import OPEN_SHAPES


def drop_clicks(shapes: Shapes) -> None:
    """Remove what a press of the button left, without a drag.

    napari itself leaves one where the slider stands between two slices: it fails there.
    """
    sides = _sides(shapes)
    _remove(shapes, [row for row, pair in enumerate(sides) if _is_click(shapes, pair)])


def drop_a_click(shapes: Shapes) -> None:
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
