import numpy as np
import pytest

from napari_medsam_lite.core.lazy import KEPT_SLICES, LazyVoxels, volume_of


class Counted:
    def __init__(self, data):
        self.data, self.shape, self.dtype, self.reads = data, data.shape, data.dtype, 0

    def __getitem__(self, index):
        self.reads += 1
        return self.data[index]


@pytest.fixture
def disk():
    return Counted(np.arange(3 * 50 * 4 * 5, dtype=np.int32).reshape(3, 50, 4, 5))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_planes_of_one_volume_of_several(disk, axis):
    voxels = LazyVoxels(disk, (2,))
    assert (voxels.shape, voxels.ndim, voxels.dtype, len(voxels)) == ((50, 4, 5), 3, "i4", 50)
    np.testing.assert_array_equal(voxels.plane(axis, 3), disk.data[2].take(3, axis))
    np.testing.assert_array_equal(voxels[7], disk.data[2, 7])


def test_the_latest_slices_are_kept_and_no_more(disk):
    voxels = LazyVoxels(disk, (0,))
    for index in range(KEPT_SLICES):
        voxels.plane(0, index)
    voxels.plane(0, 0)
    assert disk.reads == KEPT_SLICES
    voxels.plane(0, KEPT_SLICES)  # the one that was used longest ago makes room: 1
    voxels.plane(0, 0)
    assert disk.reads == KEPT_SLICES + 1
    voxels.plane(0, 1)
    assert disk.reads == KEPT_SLICES + 2


def test_an_array_in_memory_is_looked_at_and_not_copied(disk):
    data = disk.data
    assert volume_of(data[0]) is not None
    assert np.shares_memory(volume_of(data, (1,)), data)
    np.testing.assert_array_equal(volume_of(data, (1,)), data[1])
    assert isinstance(volume_of(disk, (1,)), LazyVoxels)
    assert disk.reads == 0


def test_dask_and_zarr_are_read_chunk_by_chunk():
    dask, zarr = pytest.importorskip("dask.array"), pytest.importorskip("zarr")
    data = np.arange(6 * 4 * 5, dtype=np.int16).reshape(6, 4, 5)
    for array in (dask.from_array(data, chunks=(1, 4, 5)), zarr.array(data, chunks=(1, 4, 5))):
        voxels = LazyVoxels(array)
        for axis in (0, 1, 2):
            np.testing.assert_array_equal(voxels.plane(axis, 1), data.take(1, axis))
