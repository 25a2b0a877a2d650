"""Several answers of the network to one box, joined to one mask.

Each look answers the box as it is, a little smaller and a little larger, and the logits are
averaged: the network is jumpy in its box, and decoding is cheap.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.boxes import tight_box
from napari_medsam_lite.core.frame import Patch
from napari_medsam_lite.engine.look import Corners, Look

SHIFTS = (0, -2, 2)
"""Frame pixels that a box is grown by; the first answer's score counts."""


def boxes_for(look: Look, box: Corners) -> NDArray[np.float32]:
    """(N, 4) XYXY in frame pixels: what `look` is asked for `box`."""
    low, high = np.split(look.box_to_frame(box), 2)
    middle = (low + high) / 2  # a thin box made smaller must not end before it starts
    grown = [
        np.concatenate([np.minimum(low - by, middle), np.maximum(high + by, middle)])
        for by in (SHIFTS[:1] if look.is_whole else SHIFTS)
    ]
    asked: NDArray[np.float32] = np.clip(np.stack(grown), 0, look.frame.side).astype(np.float32)
    return asked


def join(looks: Sequence[Look], logits: Sequence[NDArray[np.float32]]) -> Patch:
    """The mean of what `looks` have answered, (N, side, side) each, inside the smallest of them."""
    means = [answers.mean(axis=0) for answers in logits]
    if len(looks) == 1:
        return looks[0].mask_to_slice(means[0])
    smallest = min(looks, key=lambda look: look.frame.height * look.frame.width)
    total = np.zeros((smallest.frame.height, smallest.frame.width), np.float32)
    for look, mean in zip(looks, means, strict=True):
        total += look.logits_at(mean, smallest.window)
    return _cut(smallest.corner, total / np.float32(len(looks)))


def _cut(corner: tuple[int, int], logits: NDArray[np.float32]) -> Patch:
    reach = tight_box(logits > 0)
    if reach is None:
        return Patch((0, 0), np.zeros((0, 0), np.float32))
    rows, columns = slice(reach.y0, reach.y1 + 1), slice(reach.x0, reach.x1 + 1)
    return Patch((corner[0] + reach.y0, corner[1] + reach.x0), logits[rows, columns].copy())
