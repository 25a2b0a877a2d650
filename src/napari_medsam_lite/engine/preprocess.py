"""From slices of a volume to what the encoder takes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.frame import ModelFrame
from napari_medsam_lite.core.window import Limits


def encoder_frames(slices: NDArray[Any], limits: Limits, frame: ModelFrame) -> NDArray[np.float32]:
    """(B, H, W) or (B, H, W, 3) voxels as stored to (B, 3, side, side) float32 in [0, 1].

    The order is the published scripts': window to 8 bit, resize in 8 bit, then stretch each slice
    to its own minimum and maximum, then pad with zeros.
    """
    slices = limits.to_uint8(slices)
    if slices.ndim == 3:
        grey = _stretch(frame.resize(slices)[:, None])
        return np.broadcast_to(_pad(grey, frame.side), (len(slices), 3, frame.side, frame.side))
    channels = [frame.resize(slices[..., c]) for c in range(3)]
    return _pad(_stretch(np.stack(channels, axis=1)), frame.side)


def _stretch(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(B, C, h, w) uint8 to float32 in [0, 1], each image by its own extremes."""
    values = images.astype(np.float32)
    values -= values.min(axis=(1, 2, 3), keepdims=True)
    values /= np.maximum(values.max(axis=(1, 2, 3), keepdims=True), 1e-8)
    return values


def _pad(images: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    b, c, h, w = images.shape
    padded = np.zeros((b, c, side, side), np.float32)
    padded[:, :, :h, :w] = images
    return padded
