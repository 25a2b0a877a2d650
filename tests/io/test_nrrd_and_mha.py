import gzip

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from napari_medsam_lite.core.errors import FileFormatError, UnsupportedImageError
from napari_medsam_lite.io.affine import swap_axis_order
from napari_medsam_lite.io.formats import read_labels, read_volume

sitk = pytest.importorskip("SimpleITK")
DATA = np.random.default_rng(0).integers(-1000, 1000, (5, 4, 3), np.int16)  # (Z, Y, X)
TO_RAS = np.diag([-1, -1, 1])


def save(path, data=DATA, *, spacing=(1, 1, 1), directions=None, origin=(0, 0, 0), packed=False):
    image = sitk.GetImageFromArray(data)
    image.SetSpacing([float(v) for v in spacing])
    image.SetOrigin([float(v) for v in origin])
    if directions is not None:
        image.SetDirection(np.asarray(directions, float).ravel().tolist())
    sitk.WriteImage(image, str(path), packed)
    return path


def rewritten(path, old, new):
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))
    return path


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    suffix=st.sampled_from([".nrrd", ".mha"]),
    packed=st.booleans(),
    angles=st.one_of(st.just((0, 0, 0)), st.tuples(*[st.floats(-180, 180)] * 3)),
    flips=st.tuples(*[st.sampled_from([-1, 1])] * 3),
    spacing=st.tuples(*[st.floats(0.1, 10)] * 3),
    origin=st.tuples(*[st.floats(-500, 500)] * 3),
    dtype=st.sampled_from([np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64]),
)
def test_what_itk_wrote_lies_where_itk_says(
    tmp_path, suffix, packed, angles, flips, spacing, origin, dtype
):
    directions = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() * flips
    data = np.abs(DATA).astype(dtype)
    path = tmp_path / f"ct{suffix}"
    save(path, data, spacing=spacing, directions=directions, origin=origin, packed=packed)
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.data, data)
    assert volume.data.dtype == (np.float32 if dtype == np.float64 else dtype)
    np.testing.assert_allclose(volume.spacing, spacing[::-1], rtol=1e-6)
    image = sitk.ReadImage(str(path))
    affine = swap_axis_order(volume.affine)
    for index in [(0, 0, 0), (2, 3, 4), (1, 0, 3)]:
        world = TO_RAS @ image.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose(affine[:3] @ (*index, 1), world, atol=1e-3)
    assert (volume.name, volume.notes) == ("ct", ())


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_one_slice_alone(tmp_path, suffix):
    path = save(tmp_path / f"x{suffix}", spacing=(1, 1, 1))
    image = sitk.GetImageFromArray(DATA[0])
    image.SetSpacing((0.7, 0.8))
    sitk.WriteImage(image, str(path))
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.data, DATA[:1])
    assert volume.spacing == (1, 0.8, 0.7)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_several_channels_are_refused(tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((5, 4, 3, 2), np.int16), isVector=True), path)
    with pytest.raises(UnsupportedImageError, match="dimensions"):
        read_volume(path)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_whole_numbers_may_be_labels(tmp_path, suffix):
    np.testing.assert_array_equal(read_labels(save(tmp_path / f"l{suffix}")), DATA)
    with pytest.raises(FileFormatError, match="float32 voxels, not labels"):
        read_labels(save(tmp_path / f"x{suffix}", DATA.astype(np.float32)))


@pytest.mark.parametrize(
    ("space", "signs"),
    [("RAS", (1, 1, 1)), ("left-anterior-superior", (-1, 1, 1)), ("LPS", (-1, -1, 1))],
)
def test_nrrd_in_other_worlds(tmp_path, space, signs):
    path = save(tmp_path / "ct.nrrd", spacing=(2, 3, 4), origin=(10, 20, 30))
    rewritten(path, b"space: left-posterior-superior", f"space: {space}".encode())
    affine = swap_axis_order(read_volume(path).affine)
    np.testing.assert_allclose(np.diag(affine)[:3], np.multiply(signs, (2, 3, 4)))
    np.testing.assert_allclose(affine[:3, 3], np.multiply(signs, (10, 20, 30)))


def test_nrrd_without_a_world_is_told(tmp_path):
    path = tmp_path / "ct.nrrd"
    header = "NRRD0004\ntype: short\ndimension: 3\nsizes: 3 4 5\nspacings: 0.7 0.8 3\n"
    path.write_bytes(
        f"{header}encoding: raw\nendian: big\n\n".encode() + DATA.astype(">i2").tobytes()
    )
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.data, DATA)
    assert volume.spacing == (3, 0.8, 0.7)
    assert "how the patient lay" in volume.notes[0]


@pytest.mark.parametrize(
    ("suffix", "old", "new", "sentence"),
    [
        (".nrrd", b"sizes: 3 4 5", b"sizes: 3 4 99999999", "speaks of"),
        (".nrrd", b"sizes: 3 4 5", b"sizes: 3 4 -5", "speaks of -120 bytes"),
        (".nrrd", b"encoding: raw", b"encoding: hex", "stored as 'hex'"),
        (".nrrd", b"encoding: raw", b"data file: /etc/passwd\nencoding: raw", "another file"),
        (".nrrd", b"encoding: raw", b"byte skip: -1\nencoding: raw", "byte skip"),
        (".nrrd", b"type: short", b"type: block", "type 'block'"),
        (".nrrd", b"(1,0,0) (0,1,0)", b"(0,0,0) (0,1,0)", "no volume"),
        (".nrrd", b"(1,0,0) (0,1,0)", b"(1,nan,0) (0,1,0)", "no volume"),
        (".nrrd", b"NRRD", b"NERD", "is not an NRRD image"),
        (".mha", b"DimSize = 3 4 5", b"DimSize = 3 4 99999999", "speaks of"),
        (".mha", b"MET_SHORT", b"MET_STRING", "type 'MET_STRING'"),
        (".mha", b"LOCAL", b"/etc/passwd", "another file"),
        (".mha", b"Offset = 0 0 0", b"Offset = 0 0", "Offset has 2 numbers, not 3"),
        (".mha", b"TransformMatrix = 1 0 0", b"TransformMatrix = 0 0 0", "no volume"),
        (".mha", b"DimSize", b"\0imSize", "cannot be read"),
    ],
)
def test_damaged_headers(tmp_path, suffix, old, new, sentence):
    path = rewritten(save(tmp_path / f"ct{suffix}"), old, new)
    with pytest.raises(FileFormatError, match=sentence):
        read_volume(path)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
@pytest.mark.parametrize("packed", [True, False])
def test_files_that_are_cut_short(tmp_path, suffix, packed):
    path = save(tmp_path / f"ct{suffix}", packed=packed)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(FileFormatError, match="cut short"):
        read_volume(path)


def test_a_packed_file_that_claims_more_than_it_can_hold(tmp_path):
    path = save(tmp_path / "ct.nrrd", packed=True)
    rewritten(path, b"sizes: 3 4 5", b"sizes: 30000 40000 50")
    with pytest.raises(FileFormatError, match="speaks of 120000000000 bytes"):
        read_volume(path)


def test_what_follows_the_voxels_is_not_kept(tmp_path):
    path = save(tmp_path / "ct.nrrd", packed=True)
    header, _, _ = path.read_bytes().partition(b"\n\n")
    path.write_bytes(header + b"\n\n" + gzip.compress(DATA.tobytes() + bytes(5 << 20)))
    np.testing.assert_array_equal(read_volume(path).data, DATA)
