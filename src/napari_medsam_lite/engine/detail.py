"""Which looks serve a box best for their price."""

from __future__ import annotations

from napari_medsam_lite.core.frame import FRAME, ModelFrame
from napari_medsam_lite.core.settings import AUTO, Detail, Settings
from napari_medsam_lite.engine.look import Corners, Look, look_around
from napari_medsam_lite.engine.propagation.route import Prompt

CLOSE_SIDE = 128
"""A quarter of the published frame's work; a larger one sees no more of a look."""

ONE_LOOK = (3.0,)
"""How many times wider than the box a look is."""

JOINED_LOOKS = (1.5, 2.0, 3.0)
"""Together less work than one whole slice, and the best for one object (docs/quality.md)."""

SHARED_FROM = 4
"""So many masks on a slice, and one whole look costs no more than a close one for each."""

SEEN_WELL = 48
"""Pixels of a box in the frame of the whole slice, from which a close look sees no better."""

PIXELS_A_VOXEL = 1.5
"""Pixels of a voxel in that frame, from which a close look only enlarges blur."""


def choose_looks(detail: Detail, prompt: Prompt, whole: ModelFrame, crowd: int) -> tuple[Look, ...]:
    """The looks for `prompt`; the answers of several are joined.

    Parameters
    ----------
    detail : str
        See `core.settings.Detail`.
    prompt : Prompt
        The box and its slice.
    whole : ModelFrame
        The frame of the whole slice.
    crowd : int
        How many masks the slice is asked for; they can share a whole look.
    """
    shared = detail == AUTO and crowd >= SHARED_FROM and _is_seen_well(prompt.box, whole)
    if detail == "whole" or shared:
        return (Look.whole(prompt.index, whole),)
    return tuple(
        look_around(prompt.index, prompt.around, whole, factor, CLOSE_SIDE)
        for factor in (JOINED_LOOKS if detail == "close" else ONE_LOOK)
    )


def sides_of(settings: Settings, segments: int) -> tuple[int, ...]:
    """The frames' sides that a run of so many segments is likely to need."""
    if settings.propagation == "published" or settings.detail == "whole":
        return (FRAME,)
    may_share = settings.detail == AUTO and segments >= SHARED_FROM
    return (CLOSE_SIDE, FRAME) if may_share else (CLOSE_SIDE,)


def _is_seen_well(box: Corners, whole: ModelFrame) -> bool:
    rows, columns = whole.scales
    size = max((box[2] - box[0] + 1) * rows, (box[3] - box[1] + 1) * columns)
    return bool(size >= SEEN_WELL or columns >= PIXELS_A_VOXEL)
