"""The parts one by one, for developers: which change made what slower.

    tox run -e bench-parts
    pytest benchmarks --benchmark-autosave --benchmark-compare   # against the run before

Not part of the tests: nothing here can fail but by an error.
"""

from __future__ import annotations

import numpy as np
import pytest

from napari_medsam_lite.acceleration.availability import unavailable
from napari_medsam_lite.acceleration.ct_like import ct_like_frames
from napari_medsam_lite.acceleration.load import load_backend
from napari_medsam_lite.core.frame import ModelFrame
from napari_medsam_lite.engine.painting import LabelPainter, empty_labels
from napari_medsam_lite.engine.propagation.slice_mask import SliceMask
from napari_medsam_lite.model.weights import find_checkpoint

PRESETS = ["eager", "sdpa", "bf16", "openvino"]
SIDE, BOXES = 512, 8


@pytest.fixture(scope="module", params=PRESETS)
def backend(request):
    reason = unavailable(request.param, "cpu")
    if reason:
        pytest.skip(reason)
    return load_backend(request.param, "cpu", find_checkpoint())


@pytest.fixture(scope="module")
def frames():
    return np.stack(list(ct_like_frames())[:BOXES])


@pytest.fixture(scope="module")
def boxes():
    corners = np.random.default_rng(0).integers(20, 100, (BOXES, 2))
    return np.concatenate([corners, corners + 80], axis=1).astype(np.float32)


@pytest.mark.benchmark(group="encode a slice", min_rounds=5)
def test_encode(benchmark, backend, frames):
    benchmark(backend.encode_images, frames[:1])


@pytest.mark.benchmark(group="decode 8 boxes on one slice", min_rounds=5)
def test_decode_one_slice(benchmark, backend, frames, boxes):
    benchmark(backend.decode_boxes, backend.encode_images(frames[:1]) * BOXES, boxes)


@pytest.mark.benchmark(group="decode 8 boxes on 8 slices", min_rounds=5)
def test_decode_many_slices(benchmark, backend, frames, boxes):
    benchmark(backend.decode_boxes, backend.encode_images(frames), boxes)


@pytest.mark.benchmark(group="around the network, 512 x 512")
def test_resize(benchmark):
    image = np.random.default_rng(0).integers(0, 256, (1, SIDE, SIDE), dtype=np.uint8)
    benchmark(ModelFrame(SIDE, SIDE).resize, image)


@pytest.mark.benchmark(group="around the network, 512 x 512")
def test_box_of_mask(benchmark):
    benchmark(ModelFrame(SIDE, SIDE).box_of_mask, (100, 100), np.ones((120, 90), bool), 3)


@pytest.mark.benchmark(group="around the network, 512 x 512")
def test_mask_to_image(benchmark):
    logits = np.full((256, 256), -5, np.float32)
    logits[60:120, 60:105] = 5
    benchmark(ModelFrame(SIDE, SIDE).mask_to_image, logits)


@pytest.mark.benchmark(group="around the network, 512 x 512")
def test_paint(benchmark):
    painter = LabelPainter(empty_labels((3, SIDE, SIDE), [1]), 0, [1], "overwrite")
    logits = np.ones((120, 90), np.float32)
    benchmark(painter.paint, SliceMask(0, 1, 0.9, (100, 100), logits, (SIDE, SIDE)))
