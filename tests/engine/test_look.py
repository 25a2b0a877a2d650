import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_medsam_lite.core.boxes import Box2D
from napari_medsam_lite.core.frame import ModelFrame
from napari_medsam_lite.engine.look import LEAST_VOXELS, Look, corners_of, look_around

WHOLE = ModelFrame(300, 512)


def test_a_look_is_square_and_three_times_as_wide_as_the_box():
    look = look_around(7, corners_of(Box2D(100, 200, 129, 239)), WHOLE, 3, 128)
    assert look.index == 7
    assert (look.frame.height, look.frame.width, look.frame.side) == (114, 114, 128)
    assert look.corner == (56, 168)


def test_in_true_proportions():
    thick = ModelFrame(60, 512, aspect=5.0)
    look = look_around(0, corners_of(Box2D(20, 200, 27, 239)), thick, 2, 128)
    assert look.frame.height * 5 == pytest.approx(look.frame.width, abs=5)
    assert look.frame.aspect == 5.0


@given(
    height=st.integers(2, 300),
    width=st.integers(2, 300),
    aspect=st.floats(0.2, 5),
    factor=st.floats(1.5, 4),
    data=st.data(),
)
def test_a_look_lies_inside_the_slice_and_holds_the_box(height, width, aspect, factor, data):
    y0, y1 = sorted(data.draw(st.integers(0, height - 1)) for _ in range(2))
    x0, x1 = sorted(data.draw(st.integers(0, width - 1)) for _ in range(2))
    look = look_around(
        0, corners_of(Box2D(y0, x0, y1, x1)), ModelFrame(height, width, aspect), factor, 128
    )
    rows, columns = look.window
    assert 0 <= rows.start < rows.stop <= height
    assert 0 <= columns.start < columns.stop <= width
    # Rounding to whole voxels may cost the outermost half.
    assert rows.start <= y0 + 1
    assert y1 <= rows.stop
    assert columns.start <= x0 + 1
    assert x1 <= columns.stop


def test_a_tiny_box_is_not_enlarged_without_end():
    look = look_around(0, corners_of(Box2D(10, 10, 12, 12)), WHOLE, 2, 128)
    assert look.frame.width == LEAST_VOXELS


def test_what_is_found_in_a_look_lies_where_it_is_in_the_slice():
    look = Look(0, (40, 60), ModelFrame(64, 64, side=128))
    logits = np.full((128, 128), -1, np.float32)
    logits[20:41, 60:81] = 1
    patch = look.mask_to_slice(logits)
    mask = np.zeros((300, 512), bool)
    (y, x), (h, w) = patch.corner, patch.logits.shape
    mask[y : y + h, x : x + w] = patch.logits > 0
    assert np.argwhere(mask).min(axis=0).tolist() == [50, 90]
    assert np.argwhere(mask).max(axis=0).tolist() == [59, 99]
    window = (slice(45, 65), slice(80, 110))
    np.testing.assert_array_equal(look.logits_at(logits, window) > 0, mask[window])


def test_a_box_in_the_pixels_of_the_look():
    look = Look(0, (40, 60), ModelFrame(64, 64, side=128))
    assert look.box_to_frame(np.array([50.0, 90, 59.7, 99])).tolist() == [60, 20, 78, 39]
    assert Look.whole(0, ModelFrame(512, 512)).box_to_frame(
        corners_of(Box2D(101, 201, 300, 400))
    ).tolist() == [100, 50, 200, 150]
