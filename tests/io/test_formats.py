import gzip

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_medsam_lite.core.errors import FileFormatError, MedSAMLiteError
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.io.formats import (
    holds_labels,
    is_ours,
    read_case,
    read_labels,
    read_volume,
    write_labels,
)

VOLUME = Volume(np.zeros((2, 3, 4), np.int16))
LABELS = np.zeros((2, 3, 4), np.uint8)


@pytest.mark.parametrize("name", ["ct.tiff", "ct", "ct.gz", "ct.npy"])
def test_an_unknown_suffix_names_the_known_ones(tmp_path, name):
    for call in (read_case, read_volume, lambda p: write_labels(p, LABELS, VOLUME)):
        with pytest.raises(FileFormatError, match=r"\.npz, \.nii\.gz, \.nii"):
            call(tmp_path / name)


@pytest.mark.parametrize("name", ["ct.dcm", "ct.IMA"])
def test_labels_that_refer_to_no_image(tmp_path, name):
    with pytest.raises(FileFormatError, match="name their folder as the image"):
        write_labels(tmp_path / name, LABELS, VOLUME)


def test_a_series_is_for_files_that_hold_several(tmp_path):
    np.savez(tmp_path / "ct.npz", imgs=VOLUME.data)
    with pytest.raises(FileFormatError, match="holds one image"):
        read_case(tmp_path / "ct.npz", series="1")


@pytest.mark.parametrize("name", ["L.NPZ", "L.NII.GZ", "L.Nii"])
def test_suffixes_in_capitals(tmp_path, name):
    write_labels(tmp_path / name, LABELS, VOLUME)
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (LABELS[:1], r"shape \(1, 3, 4\) do not fit"),
        (LABELS * 0.5, "whole numbers, not float64"),
        (LABELS.astype(int) - 1, "from -1 to -1"),
        (LABELS.astype(int) + 65536, "0..65535"),
    ],
)
def test_labels_that_would_lose_something_are_refused(tmp_path, labels, sentence):
    with pytest.raises(FileFormatError, match=sentence):
        write_labels(tmp_path / "l.npz", labels, VOLUME)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["ct.nii.gz", "ct.npz"])
def test_the_image_itself_is_never_overwritten(tmp_path, name):
    path = tmp_path / name
    if name.endswith("npz"):
        np.savez(path, imgs=VOLUME.data)
    else:
        nib.Nifti1Image(VOLUME.data.T, np.eye(4)).to_filename(path)
    before = path.read_bytes()
    with pytest.raises(FileFormatError, match="is the image itself"):
        write_labels(path, LABELS, read_volume(path))
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["l.npz", "l.nii.gz", "l.nii"])
def test_a_write_that_fails_half_way_keeps_the_old_file(tmp_path, name, monkeypatch):
    path = tmp_path / name
    write_labels(path, LABELS, VOLUME)
    before = path.read_bytes()

    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(FileFormatError, match="the disk is full"):
        write_labels(path, LABELS + 1, VOLUME)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("suffix", [".npz", ".nii.gz", ".nii"])
def test_labels_are_read_as_they_were_written(suffix, tmp_path):
    labels = np.random.default_rng(0).integers(0, 9, (3, 4, 5)).astype(np.uint8)
    path = tmp_path / f"labels{suffix}"
    write_labels(path, labels, Volume(np.zeros((3, 4, 5), np.int16)))
    np.testing.assert_array_equal(read_labels(path), labels)


def test_files_without_labels(tmp_path):
    np.savez(tmp_path / "image.npz", imgs=np.zeros((2, 3, 4), np.uint8))
    with pytest.raises(FileFormatError, match="segs"):
        read_labels(tmp_path / "image.npz")


@pytest.mark.parametrize("name", ["l.npz", "l.nii.gz"])
def test_labels_are_not_overwritten_unless_wanted(tmp_path, name):
    write_labels(tmp_path / name, LABELS, VOLUME)
    with pytest.raises(FileFormatError, match="is there already"):
        write_labels(tmp_path / name, LABELS + 1, VOLUME, overwrite=False)
    assert not read_labels(tmp_path / name).any()


def test_the_image_under_another_name_is_the_image(tmp_path):
    path = tmp_path / "ct.nii.gz"
    nib.Nifti1Image(VOLUME.data.T, np.eye(4)).to_filename(path)
    link = tmp_path / "labels.nii.gz"
    try:
        link.hardlink_to(path)
    except OSError:
        pytest.skip("no hard links here")
    with pytest.raises(FileFormatError, match="is the image itself"):
        write_labels(link, LABELS, read_volume(path))


def damaged(draw, content):
    """The content with some bytes changed, more of them in headers, and maybe cut."""
    content = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, min(len(content), draw(st.sampled_from([400, 10_000]))) - 1))
        content[place] = draw(st.sampled_from([0, 1, 127, 128, 255, ord("("), ord("-")]))
    return bytes(content[: draw(st.sampled_from([len(content), len(content) // 2]))])


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), name=st.sampled_from(["l.npz", "l.nii", "l.nii.gz"]))
def test_whatever_is_damaged_gets_one_sentence(tmp_path, data, name):
    path = tmp_path / name
    write_labels(path, LABELS, VOLUME)
    content = path.read_bytes()
    inside = name.endswith("gz") and data.draw(st.booleans())
    content = data.draw(st.composite(damaged)(gzip.decompress(content) if inside else content))
    path.write_bytes(gzip.compress(content) if inside else content)
    is_ours(path)
    for read in (read_case, read_labels, holds_labels):
        try:
            read(path)
        except MedSAMLiteError as error:
            assert len(str(error).splitlines()) == 1
