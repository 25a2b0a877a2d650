"""The official network and a few CT-like frames with boxes."""

import numpy as np
import pytest
import torch

from napari_medsam_lite.acceleration.ct_like import ct_like_frames
from napari_medsam_lite.model.build import load_lite_medsam
from napari_medsam_lite.model.lite_medsam import LiteMedSAM
from napari_medsam_lite.model.weights import Checkpoint, find_checkpoint

BOXES = np.array([[80, 80, 140, 150], [100, 60, 190, 130], [120, 120, 160, 170]], np.float32)


@pytest.fixture(scope="session")
def checkpoint() -> Checkpoint:
    return find_checkpoint()


@pytest.fixture
def model(checkpoint: Checkpoint) -> LiteMedSAM:
    return load_lite_medsam(checkpoint)


@pytest.fixture(scope="session")
def frames() -> np.ndarray:
    return ct_like_frames(2)


@pytest.fixture(scope="session")
def images(frames: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(frames)
