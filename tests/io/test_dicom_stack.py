import numpy as np
import pytest

from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.io.formats import read_volume

SHAPE = (8, 40, 30)


def scene(x, y, z):
    """Something smooth to look at, at any place (LPS, mm)."""
    return (100 * np.sin(x / 9) + 80 * np.cos(y / 7) + 20 * z).round().astype(np.int16)


def places(volume):
    """The LPS coordinates of every voxel."""
    z, y, x = np.indices(volume.shape)
    world = np.einsum("ij,j...->i...", volume.affine, np.stack([z, y, x, np.ones_like(z)]))
    return -world[2], -world[1], world[0]


def slices_at(positions, offset=lambda z: (0.0, 0.0)):
    """Slices of the scene, 1 mm a voxel, at `positions`; `offset` moves them within their plane."""
    rows, columns = np.indices(SHAPE[1:])
    data, origins = [], []
    for z in positions:
        x0, y0 = offset(z)
        data.append(scene(columns + x0, rows + y0, z))
        origins.append([x0, y0, z])
    return np.stack(data), origins


def write(write_series, folder, positions, offset=lambda z: (0.0, 0.0), **changes):
    data, origins = slices_at(positions, offset)

    def place(ds, index):
        ds.ImagePositionPatient = [float(v) for v in origins[index]]

    return write_series(folder, data, spacing=(1, 1, 1), change=place, **changes)


@pytest.mark.parametrize(
    ("positions", "told"),
    [
        ([0, 2, 4, 8, 10], "One slice is missing: slice 3,"),
        ([0, 2, 4, 10, 12, 14], "2 slices are missing: slices 3, 4,"),
        ([0, 2, 4.5, 6, 8.3, 10], "lie 1.5 to 2.5 mm apart: they are resampled to 6 slices, 2 mm"),
    ],
)
def test_an_uneven_stack_is_resampled_and_told(tmp_path, write_series, positions, told):
    write(write_series, tmp_path / "ct", positions)
    volume = read_volume(tmp_path / "ct")
    (note,) = volume.notes
    assert told in note
    assert volume.spacing[0] == pytest.approx(2, rel=1e-6)
    np.testing.assert_allclose(volume.data, scene(*places(volume)), atol=2)
    assert volume.source.header == ()


def test_rounded_positions_are_even(tmp_path, write_series):
    write(write_series, tmp_path / "ct", [0, 1.667, 3.333, 5, 6.667, 8.333])
    volume = read_volume(tmp_path / "ct")
    assert volume.notes == ()
    assert volume.shape[0] == 6


def test_a_stack_that_would_be_mostly_made_up_is_refused(tmp_path, write_series):
    write(write_series, tmp_path / "ct", [0, 1, 2, 50, 100])
    with pytest.raises(FileFormatError, match="lie 1 to 50 mm apart"):
        read_volume(tmp_path / "ct")


@pytest.mark.parametrize("slant", [0.25, -0.4])
def test_a_tilted_stack_is_straightened_and_told(tmp_path, write_series, slant):
    write(write_series, tmp_path / "ct", range(0, 16, 2), lambda z: (0.0, slant * z))
    volume = read_volume(tmp_path / "ct")
    angle = np.degrees(np.arctan(abs(slant)))
    (note,) = volume.notes
    assert f"gantry tilt, {angle:.1f} degrees" in note
    assert volume.shape == (8, 40 + np.ceil(14 * abs(slant)), 30)
    linear = volume.affine[:3, :3]
    np.testing.assert_allclose(linear.T @ linear, np.diag([4, 1, 1]), atol=1e-9)
    x, y, z = places(volume)
    inside = (y >= slant * z + 1) & (y <= slant * z + 38)
    np.testing.assert_allclose(volume.data[inside], scene(x, y, z)[inside], atol=3)
    assert (volume.data[(y < slant * z - 1) | (y > slant * z + 40)] == -1024).all()


def test_a_slice_that_is_there_twice_is_left_out(tmp_path, write_series):
    paths = write(write_series, tmp_path / "ct", range(5))
    (tmp_path / "ct" / "copy").write_bytes(paths[2].read_bytes())
    volume = read_volume(tmp_path / "ct")
    assert volume.shape[0] == 5
    assert volume.notes == ("1 slice that is there twice is left out.",)


def test_two_images_at_one_place_are_refused(tmp_path, write_series):
    write(write_series, tmp_path / "ct", range(5))
    write(write_series, tmp_path / "ct", range(5), name="b{}")
    (tmp_path / "ct" / "b3").unlink()
    data, _ = slices_at([7])
    write_series(tmp_path / "ct", data, spacing=(1, 1, 1), origin=(0, 0, 3), name="other")
    with pytest.raises(FileFormatError, match="different images at one place"):
        read_volume(tmp_path / "ct")


def test_a_single_slice_without_thickness(tmp_path, write_series):
    write(write_series, tmp_path / "ct", [3])
    volume = read_volume(tmp_path / "ct")
    assert volume.spacing == (1, 1, 1)
    assert "how thick" in volume.notes[0]


def test_files_that_do_not_say_where_they_lie(tmp_path, write_series):
    data, _ = slices_at(range(4))

    def nowhere(ds, index):
        del ds.ImagePositionPatient, ds.PixelSpacing
        ds.InstanceNumber = 4 - index
        ds.SliceThickness = 5

    write_series(tmp_path / "sc", data, change=nowhere)
    volume = read_volume(tmp_path / "sc")
    np.testing.assert_array_equal(volume.data, data[::-1])
    assert volume.spacing == (5, 1, 1)
    assert [
        part for note in volume.notes for part in ("how large", "where it lies") if part in note
    ] == ["how large", "where it lies"]


@pytest.mark.parametrize("directions", [[1, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 0], [2, 0, 0, 0, 1, 0]])
def test_directions_that_are_none(tmp_path, write_series, directions):
    data, _ = slices_at(range(3))
    write_series(tmp_path / "ct", data, ImageOrientationPatient=directions)
    with pytest.raises(FileFormatError, match="not at right angles"):
        read_volume(tmp_path / "ct")
