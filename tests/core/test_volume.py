import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_medsam_lite.core.errors import UnsupportedImageError
from napari_medsam_lite.core.lazy import LazyVoxels
from napari_medsam_lite.core.volume import Volume, check_finite, check_image


def numbered(shape):
    return np.arange(np.prod(shape), dtype=np.int16).reshape(shape)


def test_the_default_affine_is_the_spacing():
    volume = Volume(numbered((2, 3, 4)), (3, 0.8, 0.7))
    assert volume.spacing == (3.0, 0.8, 0.7)
    np.testing.assert_array_equal(volume.affine, np.diag([3, 0.8, 0.7, 1]))


def test_an_affine_that_is_given_stays():
    affine = np.diag([-3.0, 0.8, 0.7, 1])
    assert Volume(numbered((2, 3, 4)), (3, 0.8, 0.7), affine).affine is affine


@given(
    shape=st.tuples(*[st.integers(1, 6)] * 3),
    axis=st.integers(0, 2),
    data=st.data(),
)
def test_slices_across_any_axis(shape, axis, data):
    volume = Volume(numbered(shape))
    indices = data.draw(st.lists(st.integers(0, shape[axis] - 1), min_size=1, max_size=4))
    block = volume.slices(axis, indices)
    assert block.shape == (len(indices), *volume.plane_shape(axis))
    for plane, index in zip(block, indices, strict=True):
        np.testing.assert_array_equal(plane, volume.data.take(index, axis))


def test_a_colour_image_is_one_slice():
    image = np.random.default_rng(0).integers(0, 255, (1, 5, 6, 3), np.uint8)
    volume = Volume(image)
    assert volume.is_colour
    assert volume.shape == (1, 5, 6)
    assert volume.slices(0, [0]).shape == (1, 5, 6, 3)
    with pytest.raises(UnsupportedImageError, match="no slices across axis 1"):
        volume.slices(1, [0])


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (np.zeros((4, 5, 6, 2)), "4 dimensions"),
        (np.zeros((5, 6)), "2 dimensions"),
        (np.zeros((0, 5, 6)), "empty"),
        (np.zeros((4, 5, 6), complex), "type complex128"),
        (np.zeros((4, 5, 6), "S1"), "type |S1"),
        (np.zeros((1, 5, 6, 3), np.float32), "4 dimensions"),
    ],
)
def test_what_is_no_image_is_refused(data, sentence):
    with pytest.raises(UnsupportedImageError, match=sentence):
        check_image(data)


@pytest.mark.parametrize("spacing", [(1, 1), (0, 1, 1), (-1, 1, 1), (np.nan, 1, 1), (np.inf, 1, 1)])
def test_impossible_spacing_is_refused(spacing):
    with pytest.raises(UnsupportedImageError, match="three positive numbers"):
        Volume(numbered((2, 3, 4)), spacing)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_voxels_that_are_no_numbers_are_refused(bad):
    data = np.zeros((3, 4, 5), np.float32)
    data[1, 2, 3] = bad
    with pytest.raises(UnsupportedImageError, match=r"scan: .*NaN or infinite"):
        check_finite(Volume(data, name="scan"))
    check_finite(Volume(np.zeros_like(data)))
    check_finite(Volume(numbered((2, 3, 4))))


def test_the_fingerprint_follows_the_content():
    data = numbered((2, 3, 4))
    first = Volume(data, name="a").fingerprint
    assert Volume(data.copy(), (2, 2, 2), name="b").fingerprint == first
    assert Volume(np.asfortranarray(data)).fingerprint == first
    assert Volume(data.astype(np.int32)).fingerprint != first
    assert Volume(data.reshape(3, 2, 4)).fingerprint != first
    changed = data.copy()
    changed[1, 2, 3] += 1
    assert Volume(changed).fingerprint != first
    assert len(first) == 2 * hashlib.blake2b(digest_size=16).digest_size


class OnDisk:
    """An array whose slices are counted as they are read."""

    def __init__(self, data):
        self.data, self.shape, self.dtype, self.read = data, data.shape, data.dtype, []

    def __getitem__(self, index):
        self.read.append(index)
        return self.data[index]


def test_a_lazy_volume_reads_the_slices_asked_for_alone():
    disk = OnDisk(numbered((9, 4, 5)))
    volume = Volume(LazyVoxels(disk))
    assert volume.is_lazy and volume.shape == (9, 4, 5) and disk.read == []
    check_finite(volume)
    assert disk.read == []
    np.testing.assert_array_equal(volume.slices(0, [3, 4]), disk.data[3:5])
    np.testing.assert_array_equal(volume.slices(2, [1]), disk.data[None, :, :, 1])
    volume.slices(0, [4])
    whole = slice(None)
    assert disk.read == [(3,), (4,), (whole, whole, 1)], "and each once"


def test_a_lazy_volume_is_judged_by_some_inner_slices():
    disk = OnDisk(numbered((99, 4, 5)))
    volume = Volume(LazyVoxels(disk))
    assert volume.sample.shape == (5, 4, 5)
    assert volume.extremes == (volume.sample.min(), volume.sample.max())
    assert len(disk.read) == 5
    assert {0, 98}.isdisjoint(index for (index,) in disk.read)


def test_the_fingerprint_of_a_lazy_volume_reads_three_slices():
    disk = OnDisk(numbered((99, 4, 5)))
    first = Volume(LazyVoxels(disk)).fingerprint
    assert len(disk.read) == 3
    assert Volume(LazyVoxels(disk)).fingerprint == first
    disk.data[1:98] += 1
    assert Volume(LazyVoxels(disk)).fingerprint != first
