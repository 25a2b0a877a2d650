"""Which looks serve a box best for their price."""

from __future__ import annotations

from napari_medsam_lite.core.frame import FRAME, ModelFrame
from napari_medsam_lite.core.settings import AUTO, Detail, Settings
from napari_medsam_lite.engine.look import Corners, Look, look_around
from napari_medsam_lite.engine.propagation.route import Prompt

CLOSE_SIDE = 96
"""A seventh of the published frame's work; a larger one sees no more of a look."""

ONE_LOOK = (2.5,)
"""How many times wider than the box a look is."""

JOINED_LOOKS = (2.0, 2.5)
"""Together less work than one whole slice, and the best for one object (docs/quality.md)."""

SHARED_FROM = 6
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
    if detail == "whole" or (detail == AUTO and _whole_is_best(prompt.box, whole, crowd)):
        return (Look.whole(prompt.index, whole),)
    return tuple(
        look_around(prompt.index, prompt.around, whole, factor, CLOSE_SIDE)
        for factor in (JOINED_LOOKS if detail == "close" else ONE_LOOK)
    )


def sides_of(settings: Settings, whole: ModelFrame, segments: int) -> tuple[int, ...]:
    """The frames' sides that a run of so many segments is likely to need.

    `whole` is the frame of the whole slice.
    """
    if settings.propagation == "published" or settings.detail == "whole":
        return (FRAME,)
    if settings.detail == AUTO and _is_enlarged(whole):
        return (FRAME,)
    may_share = settings.detail == AUTO and segments >= SHARED_FROM
    return (CLOSE_SIDE, FRAME) if may_share else (CLOSE_SIDE,)


def _whole_is_best(box: Corners, whole: ModelFrame, crowd: int) -> bool:
    if _is_enlarged(whole):
        return True
    rows, columns = whole.scales
    size = max((box[2] - box[0] + 1) * rows, (box[3] - box[1] + 1) * columns)
    return bool(crowd >= SHARED_FROM and size >= SEEN_WELL)


def _is_enlarged(whole: ModelFrame) -> bool:
    return whole.scales[1] >= PIXELS_A_VOXEL
