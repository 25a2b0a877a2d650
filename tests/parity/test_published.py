"""The published LiteMedSAM scripts' answers on a real CT, pinned.

The references hold what the scripts gave (see ../shared/ct/README.md); ours must give the same.
"""

import numpy as np
import pytest

from napari_medsam_lite import Box3D, Volume, VolumePredictor
from napari_medsam_lite.core.agreement import dice, dice_by_label

pytestmark = pytest.mark.slow

LEAST_MEAN, LEAST = 0.999, 0.99


def some_or_all(every):
    """One of so many, or with ``-m whole`` all."""
    return pytest.mark.parametrize("every", [every, pytest.param(1, marks=pytest.mark.whole)])


@pytest.fixture(scope="module")
def predictor():
    """The two protocols share the encodings of the 30 slices.

    How far the other presets are from this one, tests/acceleration tells.
    """
    return VolumePredictor(preset="eager", device="cpu")


@some_or_all(3)
def test_flare_protocol(predictor, shared_ct, every):
    """Each slice is asked about by itself, so every third one is as good a test."""
    case = np.load(shared_ct / "CT_tseg_gts.npz")
    reference = np.load(shared_ct / "reference" / "CT_tseg_gts.npz")["segs"]
    predictor.set_volume(Volume(case["imgs"]))
    prompts = np.zeros_like(case["gts"])
    prompts[::every] = case["gts"][::every]
    labels = predictor.segment_from_labels(prompts)
    values = list(dice_by_label(labels[::every], reference[::every]).values())
    assert len(values) == 23
    assert np.mean(values) >= LEAST_MEAN
    assert min(values) >= LEAST


@some_or_all(6)
def test_objects_from_the_middle_slice_outwards(predictor, shared_ct, every):
    """Each object is asked about by itself, so every sixth one is as good a test."""
    case = np.load(shared_ct / "3DBox_CT_tseg.npz")
    reference = np.load(shared_ct / "reference" / "3DBox_CT_tseg_objects.npz")
    shape = tuple(reference["shape"])
    expected = np.unpackbits(reference["masks"])[: np.prod(shape)].reshape(shape).astype(bool)
    boxes = [
        Box3D(*(int(v) for v in (z0, y0, x0, z1, y1, x1)))
        for x0, y0, z0, x1, y1, z1 in case["boxes"][::every]
    ]
    expected = expected[::every]
    predictor.set_volume(Volume(case["imgs"]))
    masks = np.zeros(expected.shape, bool)
    for item in predictor.propagate_in_volume(boxes, "published"):
        masks[item.object, item.index][item.window] = item.patch
    values = [dice(mask, wanted) for mask, wanted in zip(masks, expected, strict=True)]
    assert np.mean(values) >= LEAST_MEAN
    assert min(values) >= LEAST
    assert predictor.timings.boxes_decoded == predictor.count_slices(boxes)
