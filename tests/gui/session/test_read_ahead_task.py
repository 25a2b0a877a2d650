from dataclasses import replace

import numpy as np
import pytest
from napari.layers import Image

from napari_medsam_lite.core.boxes import Box2D, Box3D
from napari_medsam_lite.core.settings import Settings
from napari_medsam_lite.engine.segmenter import Segmenter
from napari_medsam_lite.gui.session.engine import SessionEngine
from napari_medsam_lite.gui.session.read_ahead_task import DrawnTask
from napari_medsam_lite.gui.session.request import Request
from napari_medsam_lite.gui.viewer.geometry import snapshot_of


@pytest.mark.parametrize("detail", ["auto", "close"])
def test_after_a_box_was_encoded_as_it_is_drawn_nothing_is_left_to_encode(detail):
    voxels = np.random.default_rng(0).integers(-100, 100, (3, 220, 200), np.int16)
    settings = Settings(preset="sdpa", device="cpu", detail=detail)
    request = Request("slice", snapshot_of(Image(voxels, scale=(3, 0.9, 0.8))), settings)
    box, engine = Box2D(60, 50, 110, 95), SessionEngine(Segmenter)
    around = Box3D.from_plane(box, 0, 1, 1)
    (_,) = DrawnTask(replace(request, boxes=(around,)), engine).work()
    segmenter = engine.load(settings, request.snapshot, print)
    prepared = engine.prepare(request.snapshot, settings)
    assert segmenter.is_encoded(prepared, 1, [box], detail)
    assert not segmenter.is_encoded(prepared, 2, [box], detail)
