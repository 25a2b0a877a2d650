from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from napari_medsam_lite.core.errors import UnsupportedImageError
from napari_medsam_lite.core.frame import ModelFrame
from napari_medsam_lite.core.lazy import LazyVoxels
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.engine.look import Look
from napari_medsam_lite.engine.prepared import prepare_volume


@pytest.fixture
def volume():
    voxels = np.random.default_rng(0).integers(-500, 500, (6, 20, 30), np.int16)
    return Volume(voxels, (2.5, 0.7, 0.7))


def test_it_cannot_be_changed(volume):
    prepared = prepare_volume(volume)
    with pytest.raises(FrozenInstanceError):
        prepared.axis = 1
    assert prepared.slice_count == 6
    assert prepare_volume(volume, axis=2).slice_count == 30


def test_small_slices_are_enlarged_linearly_but_not_as_published(volume):
    prepared = prepare_volume(volume)
    assert prepared.frame == ModelFrame(20, 30, linear=True)
    published = prepared.as_published
    assert published.frame == ModelFrame(20, 30)
    assert published.as_published is published
    ours, theirs = (p.encoder_frames([Look.whole(3, p.frame)]) for p in (prepared, published))
    assert np.abs(ours - theirs).max() > 0.1


@pytest.mark.parametrize("shape", [(256, 200), (512, 512), (300, 256)])
def test_other_slices_of_square_voxels_have_the_published_frame(shape):
    prepared = prepare_volume(Volume(np.zeros((2, *shape), np.int16), (2.5, 0.7, 0.7)))
    assert prepared.frame == ModelFrame(*shape)
    assert prepared.as_published is prepared


def test_spacings_that_are_nearly_the_same_make_square_voxels(volume):
    nearly = replace(volume, spacing=(2.5, 0.7, 0.70001))
    assert prepare_volume(nearly).frame.aspect == 1, "headers round their spacing"


@pytest.mark.parametrize("axis", [1, 2])
def test_other_slices_of_thick_ones_are_stretched_to_true_proportions(volume, axis):
    prepared = prepare_volume(volume, axis=axis)
    height, width = prepared.frame.inner
    columns = 30 if axis == 1 else 20
    assert height / width == pytest.approx(6 * 2.5 / (columns * 0.7), abs=0.01)
    published = prepared.as_published
    assert published.frame.aspect == 1
    assert published.limits == prepared.limits
    frames = prepared.encoder_frames([Look.whole(3, prepared.frame)])
    assert frames.shape == (1, 3, 256, 256)
    assert frames[0, 0, :height, :width].max() == 1
    assert not frames[0, 0, height:].any()
    assert not frames[0, 0, :, width:].any()


def test_a_hash_tells_slices_apart_by_what_they_hold_now(volume):
    prepared = prepare_volume(volume)
    hashes = [prepared.hash_look(Look.whole(index, prepared.frame)) for index in range(6)]
    assert len(set(hashes)) == 6
    volume.data[2, 3, 4] += 1
    assert prepared.hash_look(Look.whole(2, prepared.frame)) != hashes[2]
    assert prepared.hash_look(Look.whole(3, prepared.frame)) == hashes[3]
    other = prepare_volume(Volume(volume.data.view(np.uint16), volume.spacing), "40,1000")
    assert other.hash_look(Look.whole(3, other.frame)) != hashes[3], (
        "other numbers in the same bytes"
    )


def test_across_another_axis_the_volume_is_not_read_again(volume, monkeypatch):
    prepared = prepare_volume(volume, "liver")
    assert prepared.across(0) is prepared
    volume.data[:] = 0
    coronal = prepared.across(1)
    assert (coronal.axis, coronal.limits) == (1, prepared.limits)
    with pytest.raises(UnsupportedImageError, match="axis"):
        prepared.across(3)


def test_voxels_that_became_no_numbers_are_told(volume):
    prepared = prepare_volume(replace(volume, data=volume.data.astype(np.float32)))
    prepared.volume.data[2, 3, 4] = np.nan
    fine, bad = (Look.whole(index, prepared.frame) for index in (1, 2))
    prepared.encoder_frames([fine])
    with pytest.raises(UnsupportedImageError, match="NaN or infinite"):
        prepared.encoder_frames([fine, bad])


class Disk:
    """An array whose reads are noted."""

    def __init__(self, data):
        self.data, self.shape, self.dtype, self.read = data, data.shape, data.dtype, []

    def __getitem__(self, index):
        self.read.append(index)
        return self.data[index]


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
@pytest.mark.parametrize("window", ["abdomen", "40,400"])
def test_a_lazy_ct_is_read_one_slice_for_one_slice(volume, dtype, window):
    disk = Disk(volume.data.astype(dtype))
    prepared = prepare_volume(Volume(LazyVoxels(disk), volume.spacing), window)
    assert disk.read == []
    look = Look.whole(4, prepared.frame)
    prepared.hash_look(look)
    shown = prepared.encoder_frames([look])
    assert disk.read == [(4,)], "hashed and encoded from one reading"
    whole = prepare_volume(replace(volume, data=volume.data.astype(dtype)), window)
    np.testing.assert_array_equal(shown, whole.encoder_frames([look]))
    assert prepared.hash_look(look) == whole.hash_look(look)


@pytest.mark.parametrize("window", ["auto", "mr"])
def test_other_windows_of_a_lazy_volume_look_at_some_slices(volume, window):
    disk = Disk(np.tile(volume.data, (20, 1, 1)))
    prepare_volume(Volume(LazyVoxels(disk), volume.spacing), window)
    assert 0 < len(disk.read) <= 5
    stored = Disk(volume.data.astype(np.uint8))
    prepare_volume(Volume(LazyVoxels(stored), volume.spacing))
    assert stored.read == []


def test_a_lazy_slice_that_is_no_numbers_is_refused_when_it_comes():
    data = np.zeros((4, 8, 9), np.float32)
    data[2, 3, 3] = np.nan
    prepared = prepare_volume(Volume(LazyVoxels(Disk(data))), "abdomen")
    prepared.encoder_frames([Look.whole(1, prepared.frame)])
    with pytest.raises(UnsupportedImageError, match="NaN or infinite"):
        prepared.encoder_frames([Look.whole(2, prepared.frame)])
