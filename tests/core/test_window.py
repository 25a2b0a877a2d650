import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_medsam_lite.core.errors import UnsupportedImageError
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.core.window import (
    AS_STORED,
    WINDOWS,
    CTWindow,
    Limits,
    PercentileWindow,
    parse_window,
)


def volume_of(*values, dtype=np.int16):
    return Volume(np.array(values, dtype).reshape(1, 1, -1))


def published(volume, level, width):
    """The published preprocessing: clip, then stretch what is left to 0..255."""
    low, high = level - width / 2, level + width / 2
    clipped = np.clip(volume.data, low, high)
    return np.uint8((clipped - clipped.min()) / (clipped.max() - clipped.min()) * 255.0)


@given(
    values=st.lists(st.integers(-1024, 3000), min_size=2, max_size=20, unique=True),
    level=st.integers(-600, 600),
    width=st.integers(50, 2000),
)
def test_a_ct_window_is_the_published_preprocessing(values, level, width):
    volume = volume_of(*values)
    limits = CTWindow(level, width).fit(volume)
    if (
        limits.high <= limits.low
    ):  # the whole image lies on one side: the published code divides by 0
        assert not limits.to_uint8(volume.data).any()
        return
    difference = limits.to_uint8(volume.data).astype(int) - published(volume, level, width)
    assert np.abs(difference).max() <= 1  # float32 here, float64 there


def test_limits_are_drawn_in_to_the_values():
    assert CTWindow(40, 400).fit(volume_of(-1000, 2000)) == Limits(-160, 240)
    assert CTWindow(40, 400).fit(volume_of(-100, 100)) == Limits(-100, 100)


@given(st.floats(-2000, 2000), st.floats(1, 2000))
def test_limits_are_monotonic_and_full(low, width):
    limits = Limits(low, low + width)
    out = limits.to_uint8(np.linspace(low - 10, low + width + 10, 50))
    assert out.dtype == np.uint8
    assert out[0] == 0
    assert out[-1] >= 254
    assert (np.diff(out.astype(int)) >= 0).all()


def test_flat_limits_give_black():
    assert not Limits(5, 5).to_uint8(np.array([1.0, 5, 9])).any()


def test_percentiles_of_the_positive_voxels():
    data = np.concatenate([np.zeros(1000), np.arange(1, 1001)]).reshape(20, 10, 10)
    limits = PercentileWindow(0.5, 99.5).fit(Volume(data))
    assert limits.low == pytest.approx(6, abs=0.1)
    assert limits.high == pytest.approx(995, abs=0.1)
    assert PercentileWindow().fit(Volume(np.zeros((2, 2, 2)))) == Limits(0, 0)


def test_eight_bits_are_taken_as_they_are():
    volume = volume_of(3, 200, dtype=np.uint8)
    assert parse_window(None, volume).fit(volume) == AS_STORED
    np.testing.assert_array_equal(AS_STORED.to_uint8(volume.data), volume.data)


def test_hu_without_a_window_is_refused():
    with pytest.raises(UnsupportedImageError, match="a window is needed"):
        WINDOWS["none"].fit(volume_of(-1000, 400))
    assert WINDOWS["none"].fit(volume_of(0, 255)) == AS_STORED


@pytest.mark.parametrize("window", [*WINDOWS, None, "auto", "600,100", PercentileWindow(1, 99)])
@pytest.mark.parametrize("values", [(False, True), (True, True), (False, False)])
def test_a_mask_is_black_and_white_in_every_window(window, values):
    volume = volume_of(*values, dtype=bool)
    grey = parse_window(window, volume).fit(volume).to_uint8(volume.data)
    np.testing.assert_array_equal(grey, np.where(volume.data, 255, 0))


def test_windows_by_name_and_number():
    volume = volume_of(-1000, 1000)
    assert parse_window(None, volume) == CTWindow(40, 400)
    assert parse_window("Soft-Tissue", volume) is WINDOWS["soft tissue"]
    assert parse_window(" 50 , 350 ", volume) == CTWindow(50, 350)
    assert parse_window(CTWindow(1, 2), volume) == CTWindow(1, 2)


@pytest.mark.parametrize("text", ["", "lungs", "40", "40,400,5", "a,b"])
def test_unknown_windows_name_the_known_ones(text):
    with pytest.raises(UnsupportedImageError, match=r"abdomen.*LEVEL,WIDTH"):
        parse_window(text, volume_of(0, 1))


@pytest.mark.parametrize("text", ["40,0", "40,-5", "nan,400", "40,inf"])
def test_impossible_windows_are_refused(text):
    with pytest.raises(UnsupportedImageError, match="positive width"):
        parse_window(text, volume_of(0, 1))
