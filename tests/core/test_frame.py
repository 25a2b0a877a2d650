import cv2
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from napari_medsam_lite.core.boxes import Box2D, tight_box
from napari_medsam_lite.core.frame import FRAME, ModelFrame

SIDES = st.integers(1, 600)


def random_image(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


def opencv_resize(image):
    height, width = ModelFrame(*image.shape).inner
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("shape", [(512, 512), (256, 256), (768, 768), (1024, 256), (128, 128)])
def test_resize_by_whole_factors_equals_opencv(shape):
    image = random_image(*shape)
    np.testing.assert_array_equal(ModelFrame(*shape).resize(image[None])[0], opencv_resize(image))


@given(height=SIDES, width=SIDES)
@settings(max_examples=60, deadline=None)
def test_resize_equals_opencv(height, width):
    image = random_image(height, width)
    ours = ModelFrame(height, width).resize(image[None])[0]
    np.testing.assert_array_equal(ours, opencv_resize(image))


@given(height=st.integers(8, 255), width=st.integers(8, 255))
@settings(max_examples=40, deadline=None)
def test_linear_enlargement_equals_opencv_up_to_rounding(height, width):
    image = random_image(height, width)
    frame = ModelFrame(height, width, linear=True)
    rows, columns = frame.inner
    wanted = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_LINEAR)
    assert np.abs(frame.resize(image[None])[0] - wanted.astype(int)).max() <= 1


@given(height=st.integers(8, 600), width=st.integers(8, 600), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_mask_to_image_is_the_whole_interpolation(height, width, seed):
    frame = ModelFrame(height, width)
    noise = np.random.default_rng(seed).normal(-1.5, 1, (8, 8)).astype(np.float32)
    logits = cv2.resize(noise, (FRAME, FRAME), interpolation=cv2.INTER_CUBIC)
    h, w = frame.inner
    whole = torch.nn.functional.interpolate(
        torch.from_numpy(logits[None, None, :h, :w]), (height, width), mode="bilinear"
    )[0, 0].numpy()
    patch = frame.mask_to_image(logits)
    mask = np.zeros((height, width), bool)
    (y, x), (ph, pw) = patch.corner, patch.logits.shape
    mask[y : y + ph, x : x + pw] = patch.logits > 0
    undecided = np.abs(whole) < 1e-4
    np.testing.assert_array_equal(mask[~undecided], (whole > 0)[~undecided])


def test_nothing_positive_gives_an_empty_patch():
    patch = ModelFrame(100, 100).mask_to_image(np.full((FRAME, FRAME), -1, np.float32))
    assert patch.logits.size == 0


def test_padding_is_no_mask():
    logits = np.full((FRAME, FRAME), -1, np.float32)
    logits[200:] = 5
    assert ModelFrame(100, 256).mask_to_image(logits).logits.size == 0


def test_boxes_are_truncated():
    np.testing.assert_array_equal(
        ModelFrame(101, 122).box_to_frame(Box2D(10, 20, 31, 41)), [41, 20, 86, 65]
    )


@pytest.mark.parametrize("shape", [(512, 512), (101, 122), (300, 400)])
def test_box_of_mask_is_the_published_one(shape):
    """Resize a 0/1 image in 8 bit, take the box of what is above 0, grow it."""
    mask = np.zeros(shape, bool)
    mask[20:61, 33:50] = True
    mask[40, 30:33] = True
    ys, xs = np.nonzero(opencv_resize(mask.astype(np.uint8)))
    expected = Box2D(ys.min() - 3, xs.min() - 3, ys.max() + 3, xs.max() + 3)
    tight = tight_box(mask)
    corner = (tight.y0, tight.x0)
    patch = mask[tight.y0 : tight.y1 + 1, tight.x0 : tight.x1 + 1]
    assert ModelFrame(*shape).box_of_mask(corner, patch, 3) == expected


def test_box_of_an_empty_mask():
    assert ModelFrame(64, 64).box_of_mask((0, 0), np.zeros((0, 0), bool), 3) is None


def test_the_box_may_reach_one_past_the_frame():
    mask = np.ones((256, 256), bool)
    assert ModelFrame(256, 256).box_of_mask((0, 0), mask, 3) == Box2D(0, 0, 256, 256)


@given(
    height=st.integers(4, 500),
    width=st.integers(4, 500),
    aspect=st.floats(0.2, 5).filter(lambda a: abs(a - 1) > 1e-3),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_voxels_that_are_not_square_are_shown_in_true_proportions(height, width, aspect, seed):
    frame = ModelFrame(height, width, aspect)
    h, w = frame.inner
    assert max(h, w) == FRAME
    assume(min(h, w) >= 8)  # or one pixel more or less is another shape
    assert abs(h / w - height * aspect / width) <= 0.5 / w + (h / w) * 0.5 / w + 1 / w
    resized = frame.resize(random_image(height, width, seed)[None])[0]
    assert resized.shape == (h, w)
    flat = frame.resize(np.full((1, height, width), 93, np.uint8))
    assert (flat == 93).all(), "means and mixtures of one value are that value"


@pytest.mark.parametrize("aspect", [0.4, 1.0, 3.5])
def test_a_box_and_its_mask_find_back_to_the_slice(aspect):
    frame = ModelFrame(60, 200, aspect)
    x0, y0, x1, y1 = frame.box_to_frame(Box2D(10, 40, 30, 120)).astype(int)
    logits = np.full((FRAME, FRAME), -1, np.float32)
    logits[y0 : y1 + 1, x0 : x1 + 1] = 1
    patch = frame.mask_to_image(logits)
    found = tight_box(patch.logits > 0)
    y, x = patch.corner
    corners = [found.y0 + y, found.x0 + x, found.y1 + y, found.x1 + x]
    np.testing.assert_allclose(corners, [10, 40, 30, 120], atol=1 + 1 / min(frame.scales))
    box = frame.box_of_mask(patch.corner, patch.logits > 0, margin=0)
    np.testing.assert_allclose([box.x0, box.y0, box.x1, box.y1], [x0, y0, x1, y1], atol=2)


def test_the_frame_of_square_voxels_is_the_published_one_to_the_bit():
    image = random_image(101, 122)
    assert ModelFrame(101, 122).scales == (FRAME / 122, FRAME / 122)
    np.testing.assert_array_equal(
        ModelFrame(101, 122, 1.0).resize(image[None])[0], opencv_resize(image)
    )
