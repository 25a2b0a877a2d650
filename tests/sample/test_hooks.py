import numpy as np

from napari_medsam_lite.sample import hooks


def test_the_phantom_sample():
    (image, look, _), (truth, hidden, kind) = hooks.phantom_layers()
    assert image.shape == truth.shape == (64, 256, 256)
    assert kind == "labels"
    assert not hidden["visible"]
    np.testing.assert_allclose(look["scale"], (3, 1.5, 1.5))
    held = look["metadata"]["medsam_lite"]
    assert len(held["boxes"]) == len(held["names"]) == truth.max()
