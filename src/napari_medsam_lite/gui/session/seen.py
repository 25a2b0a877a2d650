"""A word when the network cannot see what is boxed, for it lies outside the window."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from napari_medsam_lite.core.boxes import Box2D
from napari_medsam_lite.core.outside import outside_window

if TYPE_CHECKING:
    from napari_medsam_lite.engine.prepared import PreparedVolume


def unseen(prepared: PreparedVolume, boxes: Iterable[tuple[int, Box2D]]) -> str:
    """The first sentence of `outside_window` on boxes (slice, box); empty if there is none."""
    if prepared.volume.is_colour:
        return ""
    for index, box in boxes:
        (plane,) = prepared.volume.slices(prepared.axis, [index])
        boxed = plane[max(box.y0, 0) : box.y1 + 1, max(box.x0, 0) : box.x1 + 1]
        if boxed.size and (told := outside_window(boxed, prepared.limits)):
            return told
    return ""
