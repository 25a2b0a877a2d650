import json

import nibabel as nib
import numpy as np
import pytest

from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.errors import FileFormatError, PromptError
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.io.formats import (
    parse_box,
    read_boxes,
    read_case,
    read_labels,
    read_named_boxes,
    read_volume,
    write_labels,
)

VOLUME = Volume(np.zeros((2, 3, 4), np.int16))
LABELS = np.zeros((2, 3, 4), np.uint8)
BOX = Box3D(z0=3, y0=2, x0=1, z1=6, y1=5, x1=4)


@pytest.mark.parametrize("name", ["ct.tiff", "ct", "ct.gz", "ct.npy"])
def test_an_unknown_suffix_names_the_known_ones(tmp_path, name):
    for call in (read_case, read_volume, lambda p: write_labels(p, LABELS, VOLUME)):
        with pytest.raises(FileFormatError, match=r"\.npz, \.nii\.gz, \.nii"):
            call(tmp_path / name)


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


def test_a_box_from_text():
    assert parse_box("1,2,3,4,5,6") == BOX
    assert parse_box(" 1, 2 ,3.0,4,5,6") == BOX


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1,2,3", "six whole numbers"),
        ("", "six whole numbers"),
        ("1,2,3,4,5,six", "' ?six' is not a whole number"),
        ("1,2,3,4,5,6.5", "'6.5' is not a whole number"),
        ("1,2,3,4,5,inf", "'inf' is not a whole number"),
        ("4,2,3,1,5,6", "ends before it starts"),
    ],
)
def test_bad_box_text_gets_one_sentence(text, sentence):
    with pytest.raises(PromptError, match=sentence):
        parse_box(text)


def test_boxes_from_csv(tmp_path):
    path = tmp_path / "boxes.csv"
    path.write_text(
        "\ufeffname, x0, y0, z0, x1, y1, z1\nliver, 1, 2, 3, 4, 5, 6\n,0,0,0,1,1,1\n", "utf-8"
    )
    assert read_named_boxes(path) == [("liver", BOX), ("", Box3D(0, 0, 0, 1, 1, 1))]
    assert read_boxes(path)[0] == BOX


@pytest.mark.parametrize("wrap", [lambda rows: rows, lambda rows: {"boxes": rows}])
def test_boxes_from_json(tmp_path, wrap):
    path = tmp_path / "boxes.json"
    rows = [
        {"x0": 1, "y0": 2, "z0": 3, "x1": 4, "y1": 5, "z1": 6, "name": "liver"},
        [0, 0, 0, 1, 1, 1],
    ]
    path.write_text(json.dumps(wrap(rows)))
    assert read_named_boxes(path) == [("liver", BOX), ("", Box3D(0, 0, 0, 1, 1, 1))]


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("b.json", "{", "cannot be read as a file of boxes"),
        ("b.json", '{"a": 1}', "no list of boxes"),
        ("b.json", "[]", "holds no boxes"),
        ("b.json", "[[1,2,3]]", "box 1 is wrong: six whole numbers"),
        ("b.json", "[3]", "box 1 is wrong"),
        ("b.json", '[{"x0": 1}]', "box 1 has no y0, z0, x1, y1, z1"),
        ("b.csv", "x0,y0,z0,x1,y1,z1\n", "holds no boxes"),
        ("b.csv", "x0,y0,z0,x1,y1\n1,2,3,4,5\n", "box 1 has no z1"),
        ("b.csv", "x0,y0,z0,x1,y1,z1\n1,2,3,4,5,6\n1,2,3,4,5,a\n", "box 2 is wrong: 'a'"),
        ("b.csv", "\x00", "b.csv"),
        ("b.txt", "1,2", r"\.json and \.csv"),
    ],
)
def test_bad_box_files_get_one_sentence(tmp_path, name, text, sentence):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(FileFormatError, match=sentence) as caught:
        read_boxes(path)
    assert "\n" not in str(caught.value)


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
