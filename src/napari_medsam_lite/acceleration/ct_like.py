"""CT-like frames to calibrate on when no others are at hand: numpy, deterministic, in the package.

Ranges for 8-bit arithmetic and scores for pruning need images as the network sees them in use, not
noise: a body with organs, bone and air after an abdominal window, each slice stretched to [0, 1].
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.frame import FRAME

FRAMES = 16
ORGANS = 14


def ct_like_frames(count: int = FRAMES, seed: int = 0, side: int = FRAME) -> NDArray[np.float32]:
    """(count, 3, side, side) float32 in [0, 1], three equal channels; no chance but by `seed`."""
    rng = np.random.default_rng(seed)
    return np.stack([_frame(rng, side) for _ in range(count)])


def _frame(rng: np.random.Generator, side: int) -> NDArray[np.float32]:
    """A body; all lengths are those of a frame of 256."""
    image = np.zeros((side, side), np.float32)
    pixels = np.mgrid[:side, :side] * (FRAME / side)
    height, width = rng.uniform(75, 120, 2)
    centre = np.array([128.0, 128.0]) + rng.uniform(-6, 6, 2)
    image[_ellipse(pixels, centre, height, width, 0)] = 0.28  # fat
    image[_ellipse(pixels, centre, height * 0.9, width * 0.9, 0)] = 0.5  # muscle and mesentery
    for _ in range(ORGANS):
        at = centre + rng.uniform(-0.6, 0.6, 2) * (height, width)
        rows, columns = rng.uniform(5, 34, 2)
        organ = _ellipse(pixels, at, rows, columns, rng.uniform(0, np.pi))
        image[organ] = rng.choice([0.0, 0.42, 0.55, 0.6, 0.66, 0.75])
    spine = centre + np.array([height * 0.62, 0])
    image[_ellipse(pixels, spine, 14, 17, 0)] = 0.95
    image[_ellipse(pixels, spine, 6, 7, 0)] = 0.5
    image = _smooth(image) + rng.normal(0, rng.uniform(0.01, 0.05), image.shape).astype(np.float32)
    image = np.clip(image, 0, 1)
    image -= image.min()
    image /= image.max()
    if rng.random() < 0.5:  # most slices are not square: zeros at the bottom, as in use
        image[int(rng.uniform(190, 250) * side / FRAME) :] = 0
    return np.repeat(image[None], 3, axis=0).astype(np.float32)


def _ellipse(
    pixels: NDArray[np.float64], centre: NDArray[np.float64], a: float, b: float, turn: float
) -> NDArray[np.bool_]:
    """The pixels of an ellipse of half axes `a` (rows) and `b` (columns), turned by `turn`."""
    y, x = pixels - centre[:, None, None]
    u, v = y * np.cos(turn) + x * np.sin(turn), x * np.cos(turn) - y * np.sin(turn)
    inside: NDArray[np.bool_] = (u / a) ** 2 + (v / b) ** 2 <= 1
    return inside


def _smooth(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """A scanner's blur: the mean of a cross of five pixels."""
    rolled = [np.roll(image, shift, axis) for axis in (0, 1) for shift in (-1, 1)]
    mean: NDArray[np.float32] = np.mean([image, *rolled], axis=0, dtype=np.float32)
    return mean
