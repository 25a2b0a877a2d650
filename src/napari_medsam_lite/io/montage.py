"""Many slices of a result on one picture, with their numbers, a legend and a scale bar."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.labelset import LabelClass
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.core.window import Limits
from napari_medsam_lite.io.drawing import Picture, size_mm
from napari_medsam_lite.io.lettering import PAPER, draw_scale_bar, write_number
from napari_medsam_lite.io.overlay import (
    check_labels,
    check_picture_name,
    labelled_slices,
    sheet_of,
    with_legend,
    write_picture,
)

SLICES, MOST = 12, 30
AREA, LONGEST, GAP = 300**2, 640, 4
"""Pixels of one slice, about; of its longer side, at most; and between two."""
WIDE = 1.4
"""How much wider than high a montage is, about."""


def save_montage(
    path: str | Path,
    volume: Volume,
    labels: NDArray[Any],
    boxes: Sequence[Box3D] = (),
    indices: Sequence[int] | None = None,
    *,
    axis: int = 0,
    limits: Limits | None = None,
    ids: Sequence[int] = (),
    classes: Sequence[LabelClass] = (),
) -> list[int]:
    """Write slices with labels and boxes, side by side, as a PNG file; returns which they were.

    Parameters
    ----------
    path, volume, labels, boxes, axis, limits, ids, classes
        As for `save_overlay`. The scale bar is there in any case.
    indices : sequence of int, optional
        The slices; default about 12 of those with labels, and the key slices.

    Raises
    ------
    UnsupportedImageError
        If labels and image differ in shape, or there is no such slice.
    FileFormatError
        If the file cannot be written.
    """
    check_picture_name(path)
    chosen = montage_slices(labels, boxes, axis) if indices is None else list(indices)
    check_labels(volume, labels, chosen, axis)
    sheet = sheet_of(volume, axis, limits, boxes, ids, classes, _side(volume, axis))
    planes, keys = np.moveaxis(labels, axis, 0), key_slices(boxes, axis)
    tiles = []
    for index in chosen:
        tile = sheet.draw(index, planes[index])
        write_number(tile, f"{index} (key)" if index in keys else f"{index}")
        tiles.append(tile)
    draw_scale_bar(tiles[-1], sheet.pixels_a_mm)
    numbers = np.unique(planes[chosen]).tolist()
    write_picture(path, with_legend(_grid(tiles), sheet, numbers))
    return chosen


def key_slices(boxes: Sequence[Box3D], axis: int) -> list[int]:
    """The slices that boxes were drawn on, in order; of a fence the middle one."""
    return sorted({box.key_slice(axis) for box in boxes})


def montage_slices(labels: NDArray[Any], boxes: Sequence[Box3D], axis: int) -> list[int]:
    """Evenly chosen slices from the first to the last with a label, and the key slices."""
    keys = [k for k in key_slices(boxes, axis) if 0 <= k < labels.shape[axis]]
    keys = _thinned(keys, MOST - SLICES)
    ends = [*labelled_slices(labels, axis)[[0, -1]].tolist(), *keys] if labels.any() else keys
    first, last = (min(ends), max(ends)) if ends else (0, labels.shape[axis] - 1)
    chosen = np.unique(np.linspace(first, last, SLICES).round().astype(int)).tolist()
    for key in (key for key in keys if key not in chosen):
        free = [index for index in chosen if index not in keys]
        if free:  # it takes the place of its neighbour
            chosen.remove(min(free, key=lambda index: abs(index - key)))
        chosen.append(key)
    return sorted(chosen)


def _side(volume: Volume, axis: int) -> float:
    """The longer side of one slice's picture."""
    height, width = size_mm(volume, axis)
    longer, shorter = max(height, width), min(height, width)
    return min(math.sqrt(AREA * longer / shorter), LONGEST)


def _thinned(values: list[int], most: int) -> list[int]:
    """At most so many of the values, evenly chosen."""
    if len(values) <= most:
        return values
    return [values[i] for i in np.linspace(0, len(values) - 1, most).round().astype(int)]


def _grid(tiles: Sequence[Picture]) -> Picture:
    """Tiles of one size in rows."""
    height, width = tiles[0].shape[:2]
    columns = min(max(round(math.sqrt(len(tiles) * WIDE * height / width)), 1), len(tiles))
    rows = math.ceil(len(tiles) / columns)
    size = (rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3)
    picture = np.full(size, PAPER, np.uint8)
    for place, tile in enumerate(tiles):
        top, left = place // columns * (height + GAP), place % columns * (width + GAP)
        picture[top : top + height, left : left + width] = tile
    return picture
