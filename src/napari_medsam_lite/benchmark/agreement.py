"""Slices and boxes to measure the presets on: how fast they are, and how well they agree."""

from __future__ import annotations

import numpy as np

from napari_medsam_lite.acceleration.tuning.compare import CalibrationCase
from napari_medsam_lite.core.frame import ModelFrame
from napari_medsam_lite.core.window import parse_window
from napari_medsam_lite.engine.preprocess import encoder_frames
from napari_medsam_lite.engine.propagation.published import boxes_of_labels
from napari_medsam_lite.sample.ct import ct_phantom

WINDOW = "abdomen"


def phantom_case(slices: int = 3) -> CalibrationCase:
    """Evenly spaced slices of the built-in phantom, with a box around each organ on them."""
    sample = ct_phantom()
    volume = sample.volume
    frame = ModelFrame(*volume.plane_shape(0))
    depth = volume.shape[0]
    indices = np.linspace(0, depth, slices + 2)[1:-1].astype(int).tolist()
    limits = parse_window(WINDOW, volume).fit(volume)
    found = [
        (owner, box)
        for owner, index in enumerate(indices)
        for _, box in boxes_of_labels(sample.truth[index], frame)
    ]
    return CalibrationCase(
        frames=np.ascontiguousarray(encoder_frames(volume, 0, indices, limits, frame)),
        owners=np.array([owner for owner, _ in found]),
        boxes=np.stack([box for _, box in found]),
    )
