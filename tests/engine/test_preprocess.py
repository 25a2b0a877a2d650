import cv2
import numpy as np
import pytest

from napari_medsam_lite.core.frame import ModelFrame
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.core.window import AS_STORED, CTWindow
from napari_medsam_lite.engine.preprocess import encoder_frames

RNG = np.random.default_rng(0)


def published(image):
    """The published order, with OpenCV: resize in 8 bit, stretch, pad."""
    height, width = ModelFrame(*image.shape[:2]).inner
    resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    stretched = (resized - resized.min()) / max(resized.max() - resized.min(), 1e-8)
    padding = ((0, 256 - height), (0, 256 - width)) + ((0, 0),) * (image.ndim - 2)
    return np.pad(stretched, padding).astype(np.float32)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_grey_slices_across_each_axis(axis):
    data = RNG.integers(0, 200, (40, 61, 122), dtype=np.uint8)
    volume = Volume(data)
    frame = ModelFrame(*volume.plane_shape(axis))
    frames = encoder_frames(volume.slices(axis, [3, 30]), AS_STORED, frame)
    assert frames.shape == (2, 3, 256, 256)
    assert frames.dtype == np.float32
    for image, index in zip(frames, (3, 30), strict=True):
        for channel in image:
            np.testing.assert_array_equal(channel, published(np.take(data, index, axis)))


def test_a_colour_image_is_stretched_as_one():
    image = RNG.integers(20, 90, (120, 80, 3), dtype=np.uint8)
    volume = Volume(image[None])
    frames = encoder_frames(volume.slices(0, [0]), AS_STORED, ModelFrame(120, 80))
    np.testing.assert_array_equal(frames[0], published(image).transpose(2, 0, 1))


def test_hu_are_windowed_by_the_volume_and_stretched_by_the_slice():
    data = np.full((2, 256, 256), -1000, np.int16)
    data[0, :100], data[1, :100] = 40, 240
    volume = Volume(data)
    limits = CTWindow(40, 400).fit(volume)
    frames = encoder_frames(volume.slices(0, [0, 1]), limits, ModelFrame(256, 256))
    assert limits.low == -160
    assert frames.max(axis=(1, 2, 3)).tolist() == [1, 1]


def test_a_flat_slice_is_zero():
    volume = Volume(np.full((1, 20, 20), 7, np.uint8))
    assert not encoder_frames(volume.slices(0, [0]), AS_STORED, ModelFrame(20, 20)).any()
