import numpy as np
import pytest

from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.io import dicom_lazy, dicom_pixels, hooks
from napari_medsam_lite.io.dicom import list_dicom
from napari_medsam_lite.io.dicom_lazy import LazySlices, lazily
from napari_medsam_lite.io.dicom_pixels import certain_type

VOXELS = np.random.default_rng(0).integers(-1000, 1000, (9, 6, 4), np.int16)


@pytest.fixture(autouse=True)
def long_is_short(monkeypatch):
    monkeypatch.setattr(dicom_lazy, "LAZY_FROM", 5)


@pytest.fixture
def decoded(monkeypatch):
    """The slices that were decoded, by number."""
    found, read = [], dicom_lazy.read_slice

    def count(one, target):
        found.append(int(one.path.name))
        read(one, target)

    monkeypatch.setattr(dicom_lazy, "read_slice", count)
    return found


def test_napari_gets_a_long_series_slice_by_slice(tmp_path, write_series, decoded):
    write_series(tmp_path, VOXELS)
    ((data, look, kind),) = hooks.read_layers(str(tmp_path))
    assert (type(data), kind, look["name"]) == (LazySlices, "image", "CT 3")
    assert (data.shape, data.dtype, data.ndim, data.size) == ((9, 6, 4), np.int16, 3, 9 * 24)
    assert len(set(decoded)) < 9
    np.testing.assert_array_equal(data[2], VOXELS[2])
    before = decoded.count(2)
    np.testing.assert_array_equal(data.plane(0, 2), VOXELS[2])
    assert decoded.count(2) == before, "it is kept"
    np.testing.assert_array_equal(np.asarray(data), VOXELS)
    assert sorted(decoded) == list(range(9)), "each once"


@pytest.mark.parametrize(
    "key",
    [3, -1, slice(2, 7, 2), (4,), (slice(None), 3), (..., 1), (2, slice(1, 3), 0), (), None,
     np.array([1, 5]), (np.int64(2), 1)],
)  # fmt: skip
def test_it_is_indexed_as_an_array(tmp_path, write_series, key):
    write_series(tmp_path, VOXELS)
    ((data, _, _),) = hooks.read_layers(str(tmp_path))
    np.testing.assert_array_equal(data[key], VOXELS[key])


def test_it_is_a_lazy_volume(tmp_path, write_series):
    write_series(tmp_path, VOXELS)
    ((data, _, _),) = hooks.read_layers(str(tmp_path))
    volume = Volume(data)
    assert volume.is_lazy
    np.testing.assert_array_equal(volume.slices(1, [2, 3]), np.moveaxis(VOXELS, 1, 0)[[2, 3]])


def test_a_file_that_is_gone_is_told_when_its_slice_is_looked_at(tmp_path, write_series):
    paths = write_series(tmp_path, VOXELS)
    ((data, _, _),) = hooks.read_layers(str(tmp_path))
    paths[0].unlink()
    with pytest.raises(FileFormatError, match="000"):
        data[0]
    np.testing.assert_array_equal(data[1], VOXELS[1])


@pytest.mark.parametrize(
    ("changes", "dtype"),
    [
        ({}, np.int16),
        ({"RescaleIntercept": -1024}, None),
        ({"RescaleIntercept": -1024, "BitsStored": 12, "PixelRepresentation": 0}, np.int16),
        ({"PixelRepresentation": 0}, None),
        ({"RescaleSlope": 0.5}, None),
        ({"RescaleIntercept": 0.5}, None),
    ],
)
def test_the_type_is_that_of_what_the_header_allows(tmp_path, write_series, changes, dtype):
    write_series(tmp_path, VOXELS, **changes)
    (series,) = list_dicom(tmp_path)
    assert certain_type(series.slices) == dtype
    assert (lazily(series.stack()) is not None) == (dtype is not None)


def test_values_beyond_the_header_are_told(tmp_path, write_series, monkeypatch):
    """Compressed data may hold more bits than the header says."""
    write_series(tmp_path, VOXELS)
    (series,) = list_dicom(tmp_path)
    stack = series.stack()
    large = np.full((6, 4), 40_000, np.uint16)
    monkeypatch.setattr(dicom_pixels, "_decoded", lambda slices: iter([large]))
    with pytest.raises(FileFormatError, match="larger than its header says"):
        lazily(stack)


def test_short_and_resampled_series_are_read_at_once(tmp_path, write_series):
    write_series(tmp_path / "a", VOXELS[:4])
    paths = write_series(tmp_path / "b", VOXELS)
    paths[4].unlink()
    for name in ("a", "b"):
        (series,) = list_dicom(tmp_path / name)
        assert lazily(series.stack()) is None
