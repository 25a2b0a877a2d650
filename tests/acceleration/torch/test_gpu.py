"""The presets on an NVIDIA GPU; docs/acceleration.md says which of them ran on one."""

import numpy as np
import pytest
import torch
from tests.acceleration.conftest import BOXES

from napari_medsam_lite.acceleration.availability import unavailable
from napari_medsam_lite.acceleration.load import load_backend
from napari_medsam_lite.acceleration.presets import PRESETS
from napari_medsam_lite.core.agreement import dice

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU"),
]


@pytest.mark.parametrize("name", [n for n, p in PRESETS.items() if p.runtime != "openvino"])
def test_masks_on_the_gpu(name, checkpoint, frames):
    reason = unavailable(name, "cuda")
    if reason:
        pytest.skip(reason)
    answers = []
    for backend in (
        load_backend("eager", "cpu", checkpoint),
        load_backend(name, "cuda", checkpoint),
    ):
        embeddings = backend.encode_images(frames)
        answers.append(backend.decode_boxes([embeddings[i] for i in (0, 1, 0)], BOXES)[0] > 0)
    agreement = np.mean([dice(a, b) for a, b in zip(*answers, strict=True)])
    assert agreement >= (PRESETS[name].agreement or 0.5) - 0.02  # three boxes on synthetic slices
