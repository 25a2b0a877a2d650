import dataclasses
import gzip
import math
import pickle
import struct
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from napari_medsam_lite.core.errors import FileFormatError, UnsupportedImageError
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.io.affine import swap_axis_order
from napari_medsam_lite.io.formats import read_volume, write_labels

DATA = np.random.default_rng(0).integers(-1000, 1000, (5, 4, 3), np.int16)  # (X, Y, Z)
AFFINE = np.array([[-0.7, 0, 0, 30], [0, 0.8, 0, -40], [0, 0, 3, 100], [0, 0, 0, 1.0]])


def save(folder, data=DATA, affine=AFFINE, name="ct.nii.gz", kind=nib.Nifti1Image, **header):
    image = kind(data, affine)
    for key, value in header.items():
        image.header[key] = value
    path = folder / name
    image.to_filename(path)
    return path


@st.composite
def affines(draw):
    """Oblique or straight, flipped or not, offset, anisotropic."""
    angles = draw(st.one_of(st.just((0, 0, 0)), st.tuples(*[st.floats(-180, 180)] * 3)))
    flips = draw(st.tuples(*[st.sampled_from([-1, 1])] * 3))
    zooms = draw(st.tuples(*[st.floats(0.1, 10)] * 3))
    offset = draw(st.tuples(*[st.floats(-500, 500)] * 3))
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    affine[:3, :3] *= np.multiply(flips, zooms)
    affine[:3, 3] = offset
    return affine


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    affine=affines(),
    codes=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    same=st.booleans(),
    kind=st.sampled_from([nib.Nifti1Image, nib.Nifti2Image]),
    suffix=st.sampled_from([".nii", ".nii.gz"]),
)
def test_labels_keep_the_geometry_to_the_bit(tmp_path, affine, codes, same, kind, suffix):
    image = kind(DATA, affine)
    image.set_sform(affine, code=codes[0])
    image.set_qform(affine if same else np.diag([2, 2, 2, 1.0]), code=codes[1])
    image.header.set_xyzt_units("mm", "sec")
    image.header["pixdim"][4:] = 7
    source, target = tmp_path / f"ct{suffix}", tmp_path / "labels.nii.gz"
    image.to_filename(source)

    volume = read_volume(source)
    labels = (volume.data > 0) * 3
    write_labels(target, labels, volume)

    before, after = nib.load(source), nib.load(target)
    np.testing.assert_array_equal(after.affine, before.affine)
    assert type(after) is type(before)
    for key in ("sform_code", "qform_code", "pixdim", "xyzt_units", "dim"):
        np.testing.assert_array_equal(after.header[key], before.header[key], key)
    for form in ("get_sform", "get_qform"):
        np.testing.assert_array_equal(getattr(after, form)(), getattr(before, form)())
    np.testing.assert_array_equal(np.asanyarray(after.dataobj), labels.T)
    assert after.get_data_dtype() == np.uint8
    assert after.header.get_intent("code")[0] == 1002  # labels


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(affine=affines(), index=st.tuples(*[st.integers(0, 2)] * 3))
def test_a_voxel_has_one_place(tmp_path, affine, index):
    volume = read_volume(save(tmp_path, affine=affine))
    x, y, z = index
    assert volume.data[z, y, x] == DATA[x, y, z]
    stored = nib.load(tmp_path / "ct.nii.gz").affine
    world = stored @ (x, y, z, 1)
    np.testing.assert_allclose(volume.affine @ (z, y, x, 1), world[[2, 1, 0, 3]])
    np.testing.assert_allclose(volume.spacing, nib.affines.voxel_sizes(stored)[::-1])
    np.testing.assert_array_equal(swap_axis_order(swap_axis_order(affine)), affine)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(affine=affines())
def test_a_volume_of_no_file_is_written_where_it_is(tmp_path, affine):
    zooms = tuple(nib.affines.voxel_sizes(affine)[::-1])
    volume = Volume(DATA.T, zooms, swap_axis_order(affine))
    write_labels(tmp_path / "labels.nii", np.ones(volume.shape, np.uint8), volume)
    np.testing.assert_allclose(nib.load(tmp_path / "labels.nii").affine, affine, atol=1e-4)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, ">i2"])
def test_integers_stay_integers(tmp_path, dtype):
    data = np.abs(DATA) % 200
    volume = read_volume(save(tmp_path, data.astype(dtype)))
    assert volume.data.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(volume.data, data.T)


def test_scaling_gives_float32(tmp_path):
    image = nib.Nifti1Image(DATA, AFFINE)
    image.header.set_slope_inter(0.5, -1024)
    path = tmp_path / "ct.nii.gz"
    image.to_filename(path)  # whole numbers are stored as they are, whatever the scaling
    volume = read_volume(path)
    assert volume.data.dtype == np.float32
    np.testing.assert_allclose(volume.data, DATA.T * 0.5 - 1024)
    write_labels(tmp_path / "l.nii.gz", np.full(volume.shape, 3), volume)
    labels = nib.load(tmp_path / "l.nii.gz")
    assert (np.asanyarray(labels.dataobj) == 3).all()
    assert (labels.dataobj.slope, labels.dataobj.inter) == (1, 0)
    assert read_volume(save(tmp_path, DATA.astype(np.float64))).data.dtype == np.float32


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    dtype=st.sampled_from(["<i2", ">i2", "u1", "<i4", "<u4", "<f4", ">f8", "<i8"]),
    slope=st.one_of(st.just(1.0), st.just(0.0), st.floats(-3, 3, width=32)),
    inter=st.one_of(st.just(0.0), st.floats(-2000, 2000, width=32)),
    shape=st.lists(st.integers(1, 5), min_size=2, max_size=3).map(tuple),
    name=st.sampled_from(["ct.nii", "ct.nii.gz"]),
    data=st.data(),
)
def test_voxels_are_what_nibabel_reads(tmp_path, dtype, slope, inter, shape, name, data):
    kind = np.dtype(dtype)
    size = kind.itemsize * math.prod(shape)
    voxels = np.frombuffer(data.draw(st.binary(min_size=size, max_size=size)), kind)
    header = nib.Nifti1Header()
    header.set_data_dtype(kind)
    header.set_data_shape(shape)
    header["scl_slope"], header["scl_inter"], header["vox_offset"] = slope, inter, 352
    header["magic"] = b"n+1"
    header.set_sform(AFFINE, 1)
    path = tmp_path / name
    content = header.binaryblock + bytes(4) + voxels.tobytes()
    path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    image = nib.load(path)
    scaled = (image.dataobj.slope, image.dataobj.inter) != (1, 0) or kind.kind == "f"
    with np.errstate(all="ignore"):
        whole = np.asarray(image.dataobj, dtype=np.float32 if scaled else None)
    mine = read_volume(path).data
    assert mine.dtype == whole.dtype.newbyteorder("=")
    assert mine.T.reshape(shape).tobytes() == np.asarray(whole, mine.dtype).tobytes()


@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 1), (5, 4, 3, 1), (5, 4, 3, 1, 1)])
def test_missing_and_trailing_dimensions(tmp_path, shape):
    volume = read_volume(save(tmp_path, DATA.ravel()[: np.prod(shape)].reshape(shape)))
    assert volume.shape == (3 if 3 in shape else 1, 4, 5)
    labels = np.arange(np.prod(volume.shape)).reshape(volume.shape)
    write_labels(tmp_path / "labels.nii.gz", labels, volume)
    written = nib.load(tmp_path / "labels.nii.gz")
    assert written.shape == nib.load(tmp_path / "ct.nii.gz").shape
    np.testing.assert_array_equal(read_volume(tmp_path / "labels.nii.gz").data, labels)


def test_labels_of_a_part_of_the_image_lie_where_its_affine_says(tmp_path):
    volume = read_volume(save(tmp_path, DATA))
    part = dataclasses.replace(volume, data=volume.data[:2])
    write_labels(tmp_path / "labels.nii", np.ones(part.shape, int), part)
    written = read_volume(tmp_path / "labels.nii")
    assert written.shape == part.shape
    np.testing.assert_allclose(written.affine, volume.affine, rtol=1e-6)


def test_nothing_about_the_patient_goes_into_the_labels(tmp_path):
    image = nib.Nifti1Image(DATA, AFFINE)
    image.header["descrip"] = b"Jane"
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"Jane"))
    image.to_filename(tmp_path / "ct.nii")
    volume = read_volume(tmp_path / "ct.nii")
    write_labels(tmp_path / "labels.nii", np.zeros(volume.shape, int), volume)
    assert b"Jane" not in (tmp_path / "labels.nii").read_bytes()
    assert volume.source.header["descrip"] == b"Jane"


def test_several_frames_are_refused(tmp_path):
    with pytest.raises(UnsupportedImageError, match="4 dimensions"):
        read_volume(save(tmp_path, np.zeros((5, 4, 3, 2), np.int16)))


def test_colour_is_refused(tmp_path):
    rgb = np.zeros((5, 4, 3), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    with pytest.raises(FileFormatError, match="colour"):
        read_volume(save(tmp_path, rgb))


def test_complex_is_refused(tmp_path):
    with pytest.raises(UnsupportedImageError, match="complex"):
        read_volume(save(tmp_path, DATA.astype(np.complex64)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0])
def test_an_affine_without_a_place_is_refused(tmp_path, bad):
    path = save(tmp_path, name="ct.nii")
    image = nib.load(path, mmap=False)
    image.header["srow_x"][0] = bad
    content = bytearray(path.read_bytes())
    content[:348] = image.header.binaryblock
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match="affine"):
        read_volume(path)


@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz"])
@pytest.mark.parametrize("part", [0, 0.2, 0.9, 0.999])
def test_cut_files(tmp_path, name, part):
    data = np.random.default_rng(0).integers(-1000, 1000, (20, 20, 20), np.int16)
    path = save(tmp_path, data, name=name)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(FileFormatError, match=r"ct\.nii") as caught:
        read_volume(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("place", [0.5, 0.99])
def test_a_flipped_byte_is_found(tmp_path, place):
    data = np.random.default_rng(0).integers(-1000, 1000, (20, 20, 20), np.int16)
    path = save(tmp_path, data)
    content = bytearray(path.read_bytes())
    content[int(len(content) * place)] ^= 0x55
    path.write_bytes(content)
    with pytest.raises(FileFormatError):
        read_volume(path)


@pytest.mark.parametrize(
    "content",
    [b"hello" * 1000, b"\x1f\x8bnope" * 100, gzip.compress(b"hello" * 1000)],
    ids=["text", "no gzip", "gzip of text"],  # gzip tells the time
)
def test_other_files(tmp_path, content):
    path = tmp_path / "ct.nii.gz"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match="NIfTI"):
        read_volume(path)


def patched(path, place, form, *values):
    """The file with other bytes in its header."""
    content = bytearray(path.read_bytes())
    struct.pack_into(form, content, place, *values)
    path.write_bytes(content)
    return path


def test_a_header_that_leaves_out_where_the_voxels_start(tmp_path):
    path = patched(save(tmp_path, name="ct.nii"), 108, "<f", 0)
    np.testing.assert_array_equal(read_volume(path).data, DATA.T)
    patched(path, 348, "4b", 1, 0, 0, 0)  # something follows the header, of unknown length
    with pytest.raises(FileFormatError, match=r"ct\.nii"):
        read_volume(path)


def test_half_of_a_pair_is_refused(tmp_path):
    path = patched(save(tmp_path, name="ct.nii"), 108, "<f", 0)
    patched(path, 344, "4s", b"ni1")
    with pytest.raises(FileFormatError, match="pair of files"):
        read_volume(path)


@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz"])
@pytest.mark.parametrize("dims", [(3, 2000, 2000, 1000), (7, 32767, 32767, 32767, 32767, 9, 9, 9)])
def test_memory_does_not_follow_a_header(tmp_path, name, dims, monkeypatch):
    path = patched(save(tmp_path, name="ct.nii"), 40, f"<{len(dims)}h", *dims)
    if name.endswith("gz"):
        path = path.rename(tmp_path / name)
        path.write_bytes(gzip.compress(path.read_bytes()))
    monkeypatch.setattr("numpy.empty", lambda *_: pytest.fail("memory was taken"))
    with pytest.raises(FileFormatError, match="cut short or its header is damaged"):
        read_volume(path)


PEAK = """
import resource, sys
from napari_medsam_lite.io.formats import read_volume
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    read_volume(sys.argv[1])
except Exception as error:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is counted in other units")
def test_memory_grows_with_what_is_in_a_packed_file(tmp_path):
    header = patched(save(tmp_path, name="ct.nii"), 40, "<4h", 3, 1024, 1024, 512)
    noise = np.random.default_rng(0).bytes(2 << 20)  # 2 MB there, and a GB claimed
    path = tmp_path / "ct.nii.gz"
    path.write_bytes(gzip.compress(header.read_bytes()[:352] + noise))
    run = subprocess.run(
        [sys.executable, "-c", PEAK, str(path)], capture_output=True, text=True, check=True
    )
    grown, sentence = run.stdout.split(" ", 1)
    assert "cut short" in sentence
    assert int(grown) < 100 << 10  # KiB


def test_bytes_behind_the_voxels_are_not_kept(tmp_path):
    path = save(tmp_path)
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + bytes(50 << 20)))
    assert read_volume(path).shape == (3, 4, 5)


def test_a_side_too_long_for_the_first_version_of_the_format(tmp_path):
    volume = Volume(np.zeros((33_000, 2, 2), np.uint8), (3, 2, 1))
    labels = np.arange(volume.data.size).reshape(volume.shape) % 5
    write_labels(tmp_path / "labels.nii.gz", labels, volume)
    assert isinstance(nib.load(tmp_path / "labels.nii.gz"), nib.Nifti2Image)
    again = read_volume(tmp_path / "labels.nii.gz")
    np.testing.assert_array_equal(again.data, labels)
    np.testing.assert_array_equal(again.affine, volume.affine)


def test_nibabel_says_nothing_beside_our_sentence(tmp_path, capfd):
    path = patched(save(tmp_path, name="ct.nii"), 70, "<h", 9999)
    with pytest.raises(FileFormatError, match="data code 9999"):
        read_volume(path)
    assert capfd.readouterr().err == ""


def test_the_name_does_not_decide_the_packing(tmp_path):
    path = save(tmp_path)
    plain = tmp_path / "plain.nii"
    plain.write_bytes(path.read_bytes())
    np.testing.assert_array_equal(read_volume(plain).data, DATA.T)


def test_a_volume_travels_to_another_process(tmp_path):
    volume = pickle.loads(pickle.dumps(read_volume(save(tmp_path))))
    write_labels(tmp_path / "labels.nii.gz", np.ones(volume.shape, int), volume)
    np.testing.assert_array_equal(
        nib.load(tmp_path / "labels.nii.gz").affine, volume.source.header.get_best_affine()
    )


def test_the_shared_ct(shared_ct):
    volume = read_volume(shared_ct / "totalseg_ct.nii.gz")
    organs = read_volume(shared_ct / "totalseg_organs.nii.gz")
    assert volume.shape == organs.shape == (30, 101, 122)
    assert volume.data.dtype == np.int16
    assert volume.spacing == (3.0, 3.0, 3.0)
    assert 40 < volume.data[organs.data == 5].mean() < 60  # liver
