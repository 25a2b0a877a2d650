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
    automatic_window,
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


def body(low, high, air=0.4, size=(5, 40, 40), seed=0):
    """Voxels of a body between two values, with air round it at -1000."""
    rng = np.random.default_rng(seed)
    data = rng.uniform(low, high, size)
    data[:, : int(air * size[1])] = -1000 + rng.normal(0, 10, data[:, : int(air * size[1])].shape)
    return data


CT = np.round(body(-80, 200)).astype(np.int16)
PADDED = CT.copy()
PADDED[:, :, :8] = -3024
BONES = np.round(body(-80, 200)).astype(np.int16)
BONES[2:, 30:] = 1500
MR = np.random.default_rng(1).gamma(2, 200, (5, 40, 40))
RINGING = np.round(MR).astype(np.int16)
RINGING[0, 0, :5] = -300


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (CT, "abdomen"),
        (PADDED, "abdomen"),
        (BONES, "abdomen"),
        (CT.astype(np.float32), "abdomen"),
        (np.clip(CT, -160, 240), "abdomen"),
        (np.clip(CT, -160, 240).astype(float), "abdomen"),
        (body(-80, 200), "abdomen"),  # resampled: no whole numbers
        (np.clip(CT, -1000, 1000).astype(np.int32), "abdomen"),
        (MR, "mr"),
        (MR.astype(np.uint16), "mr"),
        (RINGING, "mr"),  # signed, a few voxels far below zero
        (MR / MR.max(), "mr"),  # 0..1
        (2 * MR / MR.max() - 1, "mr"),  # -1..1
        ((MR - MR.mean()) / MR.std(), "mr"),
        (np.random.default_rng(2).integers(-4096, 4096, (5, 40, 40), np.int16), "mr"),  # phases
        (CT.clip(0).astype(np.uint16), "mr"),
        ((CT // 16 + 64).clip(0, 255).astype(np.uint8), "none"),
        (CT > 0, "none"),
        (np.full((2, 3, 4), -5000, np.int16), "mr"),
        (np.zeros((2, 3, 4), np.float32), "mr"),
    ],
)
def test_auto_takes_a_ct_window_for_what_looks_like_hu_alone(data, name):
    volume = Volume(data)
    assert automatic_window(volume) == name
    assert parse_window("auto", volume) is parse_window(None, volume) is WINDOWS[name]


def test_auto_shows_something_of_every_image():
    for data in (MR, MR / MR.max(), 2 * MR / MR.max() - 1, (MR - MR.mean()) / MR.std()):
        volume = Volume(data.astype(np.float32))
        grey = parse_window("auto", volume).fit(volume).to_uint8(volume.data)
        assert grey.std() > 25


def test_images_with_most_below_zero_are_seen_as_a_whole():
    data = np.concatenate([np.linspace(-1, 0, 900), np.linspace(0, 1, 100)]).reshape(10, 10, 10)
    limits = PercentileWindow(0, 100).fit(Volume(data))
    assert limits == Limits(-1, 1)
