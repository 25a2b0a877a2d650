"""The way of one track through the volume: where the network is asked, and with what boxes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from napari_medsam_lite.core.boxes import Box2D, Box3D
from napari_medsam_lite.core.segmentation import extent_of
from napari_medsam_lite.engine.look import Corners, corners_of
from napari_medsam_lite.engine.propagation.between import box_between

MARGIN = 2
"""Voxels between a mask's tight box and the next box, as people draw."""

STEEPEST = 1.0
"""How far a side of the box moves at most, in mm a mm of slice distance."""


@dataclass(frozen=True)
class Prompt:
    """A box for the network on slice `index`; `around` is what a close look is taken round."""

    index: int
    box: Corners
    around: Corners


@dataclass(frozen=True)
class Route:
    """What the boxes of one track (clipped to the volume) say of its way across `axis`.

    Attributes
    ----------
    boxes : tuple of Box3D
        See `core.segmentation.Segment.tracks`.
    axis, step : int
        The slices lie across `axis`, and the network is asked on every `step`-th.
    pixel_mm : tuple of float
        (row, column) size of a voxel on a slice, in mm.
    slice_mm : float
        Between slices.
    """

    boxes: tuple[Box3D, ...]
    axis: int
    step: int
    pixel_mm: tuple[float, float]
    slice_mm: float

    @cached_property
    def keys(self) -> dict[int, Corners]:
        """Slice -> the box drawn there, or the middle slice of a fence; in order of slices."""
        found = {}
        for box in self.boxes:
            found[box.key_slice(self.axis)] = corners_of(box.plane(self.axis))
        return dict(sorted(found.items()))

    @cached_property
    def extent(self) -> tuple[int, int]:
        """First and last slice, inclusive."""
        return extent_of(self.boxes, self.axis)

    @property
    def start(self) -> int:
        """The key slice in the middle, from which the way goes up and down."""
        keys = list(self.keys)
        return keys[(len(keys) - 1) // 2]

    @cached_property
    def fence(self) -> Box2D | None:
        """What nothing lies outside of, if there is one; see `core.segmentation.Segment`."""
        box = self.boxes[0]
        first, last = box.extent(self.axis)
        return box.plane(self.axis) if box.key is None and first < last else None

    def prompt(self, index: int, box: Corners) -> Prompt:
        """`box` on slice `index`. The look at a fenced thing stays where the fence is."""
        return Prompt(index, box, box if self.fence is None else corners_of(self.fence))

    def next_stop(self, index: int, direction: int) -> int | None:
        """The slice to ask after `index`, upwards (1) or downwards (-1); None at the end."""
        end = self.extent[1] if direction > 0 else self.extent[0]
        if index == end:
            return None
        stops = [end, index + direction * self.step, *self.keys]
        ahead = [stop for stop in stops if (stop - index) * direction > 0]
        return min(ahead, key=lambda stop: abs(stop - index))

    def next_key(self, index: int, direction: int) -> int | None:
        """The next key slice behind `index`, None if there is none."""
        ahead = [key for key in self.keys if (key - index) * direction > 0]
        return min(ahead, key=lambda key: abs(key - index), default=None)

    def drawn_box(self, index: int) -> Corners | None:
        """The key box on slice `index`, or the one interpolated there; None beyond the keys."""
        if index in self.keys:
            return self.keys[index]
        below, above = self.next_key(index, -1), self.next_key(index, 1)
        if below is None or above is None:
            return None
        share = (index - below) / (above - below)
        return box_between(self.keys[below], self.keys[above], share)

    def box_after(self, mask: Box2D, before: Corners, slices: int) -> Corners:
        """The box that a mask gives to a slice `slices` further on.

        `mask` is its tight box, and `before` the box that it was asked with: a side that moves
        faster than anatomy does is held back.
        """
        reach = STEEPEST * slices * self.slice_mm / np.array(self.pixel_mm)
        hold = np.tile(np.maximum(reach, 1), 2)
        held: Corners = np.clip(self.around(corners_of(mask)), before - hold, before + hold)
        return held

    def around(self, tight: Corners) -> Corners:
        """A tight box grown as people draw boxes, inside the fence where there is one."""
        grown = tight + np.array([-MARGIN, -MARGIN, MARGIN, MARGIN], np.float64)
        if self.fence is None:
            return grown
        y0, x0, y1, x1 = corners_of(self.fence)
        inside: Corners = np.clip(grown, [y0, x0, y0, x0], [y1, x1, y1, x1])
        return inside
