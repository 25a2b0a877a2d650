"""Boxes drawn round an object that is known, as a person would draw them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.boxes import Box2D, Box3D, tight_box

Organ = NDArray[np.bool_]
"""(Z, Y, X) mask of one object; boxes are drawn on slices across the first axis."""

LEAST_AREA = 30
"""Voxels that an object must have on a slice to be drawn there alone."""


@dataclass(frozen=True)
class Drawing:
    """How far from the object its boxes are drawn, in voxels of the slice.

    Attributes
    ----------
    margin : int
        Each side lies so far out.
    loose : int or None
        Instead, each side lies 0 to `loose` voxels too far out, by chance.
    seed : int
        Of that chance. A box depends on it, on the label and on the slice, not on what else is
        drawn.
    """

    margin: int = 2
    loose: int | None = None
    seed: int = 0

    def around(self, plane: NDArray[np.bool_], label: int, index: int) -> Box2D:
        """A box round the true pixels of a (H, W) mask, inside the slice, at least 2 x 2.

        `index` is the slice, or -1 for what is drawn for all slices.
        """
        box = tight_box(plane)
        assert box is not None
        out = [self.margin] * 4
        if self.loose is not None:
            chance = np.random.default_rng((self.seed, label, index + 1))
            out = chance.integers(0, self.loose, 4, endpoint=True).tolist()
        height, width = plane.shape
        y0, y1 = _side(box.y0 - out[0], box.y1 + out[2], height)
        x0, x1 = _side(box.x0 - out[1], box.x1 + out[3], width)
        return Box2D(y0, x0, y1, x1)


AS_DRAWN = Drawing()
"""Two voxels out."""


def _side(low: int, high: int, size: int) -> tuple[int, int]:
    """`low`..`high` inside 0..size - 1, at least two voxels: less has no area as a box."""
    low, high = max(low, 0), min(high, size - 1)
    if high > low:
        return low, high
    return (low, high + 1) if high + 1 < size else (low - 1, high)


BoxMaker = Callable[[Organ, int, Drawing], tuple[Box3D, ...]]
"""Object, its label and how it is drawn -> its boxes."""


def one_box(organ: Organ, label: int, drawing: Drawing) -> tuple[Box3D, ...]:
    """One 3D box, first to last slice."""
    there = _slices(organ)
    plane = drawing.around(np.asarray(organ.any(axis=0)), label, -1)
    return (Box3D.from_plane(plane, 0, there[0], there[-1]),)


def largest_slice(organ: Organ, label: int, drawing: Drawing) -> tuple[Box3D, ...]:
    """The box of the largest slice, with first and last slice."""
    there, key = _slices(organ), int(_areas(organ).argmax())
    plane = drawing.around(organ[key], label, key)
    return (Box3D.from_plane(plane, 0, there[0], there[-1], key),)


def every(step: int) -> BoxMaker:
    """A flat box on the first slice, on the last, and on every `step`-th between."""

    def boxes(organ: Organ, label: int, drawing: Drawing) -> tuple[Box3D, ...]:
        there = _slices(organ)
        return _flat(organ, label, drawing, {*there[::step], there[-1]})

    return boxes


def few_slices(organ: Organ, label: int, drawing: Drawing) -> tuple[Box3D, ...]:
    """A flat box on the largest slice and on those a quarter from either end.

    Slices with fewer than 30 voxels of the object do not count; there may be none.
    """
    areas = _areas(organ)
    there = np.flatnonzero(areas >= LEAST_AREA).tolist()
    if not there:
        return ()
    count = len(there)
    chosen = {int(areas.argmax()), there[count // 4], there[3 * count // 4]}
    return _flat(organ, label, drawing, chosen)


def _flat(organ: Organ, label: int, drawing: Drawing, indices: set[int]) -> tuple[Box3D, ...]:
    return tuple(
        Box3D.from_plane(drawing.around(organ[index], label, index), 0, index, index)
        for index in sorted(indices)
    )


def _slices(organ: Organ) -> list[int]:
    there: list[int] = np.flatnonzero(organ.any(axis=(1, 2))).tolist()
    return there


def _areas(organ: Organ) -> NDArray[np.int_]:
    return np.asarray(np.count_nonzero(organ, axis=(1, 2)))
