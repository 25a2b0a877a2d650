import pickle
import shutil

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from napari_medsam_lite.core.errors import FileFormatError, UnsupportedImageError
from napari_medsam_lite.io.affine import swap_axis_order
from napari_medsam_lite.io.formats import is_ours, read_case, read_volume

DATA = np.random.default_rng(0).integers(-1000, 1000, (5, 6, 4), np.int16)  # (Z, Y, X)
LPS = np.array([-1, -1, 1])


@st.composite
def places(draw):
    """Directions of x, y, z (rows), spacing (z, y, x) and origin; left-handed ones too."""
    angles = draw(st.one_of(st.just((0, 0, 0)), st.tuples(*[st.floats(-180, 180)] * 3)))
    directions = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    flips = draw(st.tuples(*[st.sampled_from([-1, 1])] * 3))
    spacing = draw(st.tuples(*[st.floats(0.1, 10)] * 3))
    origin = draw(st.tuples(*[st.floats(-500, 500)] * 3))
    return directions * np.array(flips)[:, None], spacing, origin


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(place=places(), order=st.permutations(range(5)))
def test_every_voxel_lies_where_its_file_says(tmp_path, write_series, place, order):
    directions, spacing, origin = place
    shutil.rmtree(tmp_path / "ct", ignore_errors=True)
    names = iter(order)
    write_series(
        tmp_path / "ct", DATA, spacing=spacing, directions=directions, origin=origin,
        name="{0}", change=lambda ds, i: setattr(ds, "InstanceNumber", next(names)),
    )  # fmt: skip
    volume = read_volume(tmp_path / "ct")
    np.testing.assert_allclose(volume.spacing, spacing, rtol=1e-6)
    assert volume.notes == ()
    for z, y, x in [(0, 0, 0), (4, 5, 3), (1, 4, 2)]:
        lps = origin + np.array([x, y, z]) * spacing[::-1] @ directions
        index = np.linalg.inv(swap_axis_order(volume.affine)) @ [*(lps * LPS), 1]
        found = np.rint(index[2::-1]).astype(int)
        np.testing.assert_allclose(index[2::-1], found, atol=1e-3 / min(spacing))
        assert volume.data[tuple(found)] == DATA[z, y, x]


def test_a_series_is_read_with_all_that_is_told_of_it(tmp_path, write_series):
    paths = write_series(tmp_path / "ct", DATA)
    steps = []
    volume = read_case(tmp_path / "ct", progress=lambda *step: steps.append(step)).volume
    np.testing.assert_array_equal(volume.data, DATA)
    assert volume.data.dtype == np.int16
    assert (volume.name, volume.modality, volume.window) == ("CT 3", "CT", (40, 400))
    assert [s.path for s in volume.source.header] == paths
    assert steps[-1] == (5, 5)


def test_one_file_is_one_slice(tmp_path, write_series):
    path = write_series(tmp_path, DATA, SliceThickness=2.5)[2]
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.data, DATA[2:3])
    assert volume.spacing == (2.5, 0.8, 0.7)
    np.testing.assert_allclose(volume.affine[:3, 3], (26, 50, 100))


def test_nothing_of_the_patient_is_kept(tmp_path, write_series):
    write_series(tmp_path / "ct", DATA)
    volume = read_volume(tmp_path / "ct")
    kept = pickle.dumps((volume.name, volume.notes, volume.source, volume.window)).lower()
    for secret in (b"doe", b"jane", b"4711", b"1950", b"2024"):
        assert secret not in kept
    with pytest.raises(FileFormatError) as refused:
        read_volume(tmp_path / "ct", series="doe")
    assert "'Abdomen 1.0'" in str(refused.value)


def test_folders_in_folders_are_looked_through(tmp_path, write_series):
    write_series(tmp_path / "study" / "series", DATA)
    (tmp_path / "study" / "readme.txt").write_text("no DICOM")
    assert is_ours(tmp_path)
    assert read_volume(tmp_path).shape == DATA.shape


def test_a_link_to_a_folder_is_not_followed(tmp_path, write_series):
    write_series(tmp_path / "elsewhere", DATA)
    (tmp_path / "case").mkdir()
    try:
        (tmp_path / "case" / "link").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    except OSError:
        pytest.skip("no links here")
    assert not is_ours(tmp_path / "case")
    with pytest.raises(FileFormatError, match="folder without DICOM files"):
        read_volume(tmp_path / "case")


@pytest.mark.parametrize("left", [140, 600, -10])
def test_a_file_that_is_cut_short_is_named(tmp_path, write_series, left):
    paths = write_series(tmp_path / "ct", DATA)
    paths[2].write_bytes(paths[2].read_bytes()[:left])
    for path in (tmp_path / "ct", paths[2]):
        with pytest.raises(FileFormatError, match=f"{paths[2].name} ") as refused:
            read_volume(path)
        assert len(str(refused.value).splitlines()) == 1


def test_colour_is_refused(tmp_path, write_series):
    write_series(tmp_path / "us", DATA, PhotometricInterpretation="RGB")
    with pytest.raises(UnsupportedImageError, match="colour"):
        read_volume(tmp_path / "us")


def test_the_real_series_equals_its_nifti(shared_dicom):
    volume = read_volume(shared_dicom / "ts_abdomen20_j2k")
    image = nib.load(shared_dicom.parent / "ct512" / "ts_abdomen20" / "ct.nii.gz")
    truth = np.asarray(image.dataobj)
    index = np.random.default_rng(0).integers(0, volume.shape, (1000, 3))
    world = (volume.affine @ np.c_[index, np.ones(1000)].T)[[2, 1, 0, 3]]
    exact = np.linalg.inv(image.affine) @ world
    found = np.rint(exact).astype(int)
    np.testing.assert_allclose(image.affine @ found, world, atol=1e-3)
    np.testing.assert_array_equal(truth[tuple(found[:3])], volume.data[tuple(index.T)])
    np.testing.assert_array_equal(np.sort(truth, axis=None), np.sort(volume.data, axis=None))
    assert (volume.window, volume.modality, volume.notes) == ((40, 300), "CT", ())


@pytest.mark.parametrize(
    ("name", "shape", "told"),
    [
        ("gantry_tilt_siemens", (4, 521, 512), "gantry tilt, 14.0 degrees"),
        ("missing_slice_ge", (5, 512, 512), "One slice is missing: slice 3"),
        ("ct_with_seg/ct-3slice", (3, 512, 512), "Padding"),
        ("ct_with_seg", (3, 512, 512), "2 files that hold no image are left out"),
        ("eCT_Supplemental.dcm", (2, 512, 512), ""),
    ],
)
def test_what_is_uncommon_in_real_files_is_told(shared_dicom, name, shape, told):
    volume = read_volume(shared_dicom / name)
    assert volume.shape == shape
    assert told in " ".join(volume.notes)
    assert bool(volume.notes) == bool(told)
    assert volume.extremes[0] == -1024


def test_a_choice_between_series(shared_dicom):
    with pytest.raises(FileFormatError, match="holds 5 series; choose one with --series: 1 CT 2"):
        read_volume(shared_dicom)
    assert read_volume(shared_dicom, series="body").shape == (20, 512, 512)
    assert read_volume(shared_dicom, series="3").shape == (2, 512, 512)
    for wanted, count in (("ct", "5"), ("0", "no"), ("6", "no"), ("knee", "no")):
        with pytest.raises(FileFormatError, match=f"holds {count} series that fit"):
            read_volume(shared_dicom, series=wanted)
