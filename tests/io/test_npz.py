import pickle
import struct
import zipfile

import numpy as np
import pytest

from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.errors import FileFormatError, UnsupportedImageError
from napari_medsam_lite.io import npz_arrays
from napari_medsam_lite.io.formats import (
    holds_labels,
    is_ours,
    read_case,
    read_labels,
    read_volume,
    write_labels,
)

IMAGE = np.random.default_rng(0).integers(0, 255, (4, 6, 5), np.uint8)


def save(folder, **arrays):
    path = folder / "case.npz"
    np.savez_compressed(path, **arrays)
    return path


def test_a_3d_case(tmp_path):
    gts = (IMAGE > 100).astype(np.uint8)
    boxes = np.array([[1, 2, 0, 4, 5, 3], [0, 0, 1, 2, 2, 2]])
    path = save(tmp_path, imgs=IMAGE, boxes=boxes, gts=gts, spacing=(0.7, 0.8, 3.0))
    case = read_case(path)
    np.testing.assert_array_equal(case.volume.data, IMAGE)
    assert case.volume.spacing == (3.0, 0.8, 0.7)
    assert case.volume.name == "case"
    assert case.boxes == [Box3D(0, 2, 1, 3, 5, 4), Box3D(1, 0, 0, 2, 2, 2)]
    np.testing.assert_array_equal(case.gts, gts)
    assert is_ours(path)


def test_without_boxes_truth_and_spacing(tmp_path):
    case = read_case(save(tmp_path, imgs=IMAGE))
    assert case.boxes == []
    assert case.gts is None
    assert case.volume.spacing == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("shape", [(7, 6), (7, 6, 3)])
def test_a_2d_case_there_and_back(tmp_path, shape):
    image = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    path = save(
        tmp_path, imgs=image, boxes=np.array([[1, 2, 4, 5]]), gts=image.reshape(7, 6, -1)[..., 0]
    )
    case = read_case(path)
    assert case.volume.shape == (1, 7, 6)
    assert case.volume.is_colour == (len(shape) == 3)
    assert case.boxes == [Box3D(0, 2, 1, 0, 5, 4)]
    write_labels(tmp_path / "out.npz", np.ones((1, 7, 6), int), case.volume, gts=case.gts)
    with np.load(tmp_path / "out.npz") as out:
        assert out["segs"].shape == out["gts"].shape == (7, 6)


def test_a_narrow_volume_is_no_colour_image(tmp_path):
    volume = np.zeros((8, 6, 3), np.uint8)
    assert read_volume(save(tmp_path, imgs=volume, boxes=np.zeros((0, 6)))).shape == (8, 6, 3)
    assert read_volume(save(tmp_path, imgs=volume)).is_colour


@pytest.mark.parametrize(("top", "dtype"), [(255, np.uint8), (256, np.uint16)])
def test_labels_out(tmp_path, top, dtype):
    case = read_case(save(tmp_path, imgs=IMAGE, spacing=(0.7, 0.8, 3.0)))
    labels = np.zeros(IMAGE.shape, np.int64)
    labels[1, 2, 3] = top
    gts = np.ones(IMAGE.shape, np.uint8)
    write_labels(tmp_path / "out.npz", labels, case.volume, gts=gts)
    with np.load(tmp_path / "out.npz") as out:
        assert sorted(out.files) == ["gts", "segs", "spacing"]
        assert out["segs"].dtype == dtype
        np.testing.assert_array_equal(out["segs"], labels)
        np.testing.assert_allclose(out["spacing"], (0.7, 0.8, 3.0))
    write_labels(tmp_path / "out.npz", labels, case.volume)
    with np.load(tmp_path / "out.npz") as out:
        assert sorted(out.files) == ["segs", "spacing"]
    np.testing.assert_array_equal(read_labels(tmp_path / "out.npz"), labels)
    assert holds_labels(tmp_path / "out.npz")
    assert not holds_labels(tmp_path / "case.npz")


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("the file was unpickled",))


def test_pickled_objects_are_never_opened(tmp_path):
    path = save(tmp_path, imgs=np.array([Trap()], object))
    with pytest.raises(FileFormatError, match="'imgs' is stored as pickled Python objects"):
        read_case(path)
    path = save(tmp_path, imgs=IMAGE, boxes=np.array([Trap()], object))
    with pytest.raises(FileFormatError, match="'boxes' is stored as pickled"):
        read_case(path)
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(FileFormatError, match="not an npz file"):
        read_case(path)


def test_other_arrays_do_no_harm(tmp_path):
    path = save(tmp_path, imgs=IMAGE, notes=np.array([Trap()], object))
    assert read_volume(path).shape == IMAGE.shape


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({}, "no array named 'imgs' .*nothing"),
        ({"image": IMAGE}, "no array named 'imgs' .*image"),
        ({"imgs": IMAGE, "boxes": np.zeros((2, 4))}, r"'boxes' has shape \(2, 4\); \(N, 6\)"),
        ({"imgs": IMAGE[0], "boxes": np.zeros((2, 5))}, r"\(N, 4\) or \(N, 6\)"),
        ({"imgs": IMAGE, "boxes": np.zeros((2, 3, 6))}, "'boxes' has shape"),
        ({"imgs": IMAGE, "boxes": np.array([["a"] * 6])}, "whole numbers"),
        ({"imgs": IMAGE, "boxes": np.full((1, 6), np.nan)}, "whole numbers"),
        ({"imgs": IMAGE, "boxes": [[5, 0, 0, 1, 2, 2]]}, r"box 1 .* ends before it starts"),
        ({"imgs": IMAGE, "gts": IMAGE[:2]}, r"'gts' must be .*\(4, 6, 5\)"),
        ({"imgs": IMAGE, "gts": IMAGE * 0.5}, "'gts' must be whole numbers"),
        ({"imgs": IMAGE, "spacing": [1, 2, 3, 4]}, "'spacing' must be three"),
        ({"imgs": IMAGE[..., :3].astype(np.float32)}, "must be uint8, not float32"),
    ],
)
def test_wrong_contents_get_one_sentence(tmp_path, arrays, sentence):
    with pytest.raises(FileFormatError, match=sentence) as caught:
        read_case(save(tmp_path, **arrays))
    assert "\n" not in str(caught.value)
    assert "case.npz" in str(caught.value)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (0, 5, 5), (3,)])
def test_what_is_no_image_is_refused(tmp_path, shape):
    with pytest.raises(UnsupportedImageError):
        read_case(save(tmp_path, imgs=np.zeros(shape, np.uint8)))


@pytest.mark.parametrize("keep", [0, 10, 200, -30])
def test_cut_files(tmp_path, keep):
    path = save(tmp_path, imgs=IMAGE)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(FileFormatError, match=r"empty|cut short"):
        read_case(path)
    assert not is_ours(path)


def array(header, data=bytes(64)):
    """An npy file with a header of any kind."""
    text = header.encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def claim(shape):
    return f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}\n"


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '|u1', 'fortran_order': False, 'shape': (4, 4, 4",  # no end
        "(" * 3000,
        "{'descr': '|u1', 'fortran_order': False, 'shape': (-4, 4, -4)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (1.5, 4, 4)}",
        "{'descr': 'nonsense', 'fortran_order': False, 'shape': (4, 4, 4)}",
        "{'descr': '|u1'}",
        "[]",
        "1 +",
        "\x00",
    ],
)
def test_damaged_array_headers_get_one_sentence(tmp_path, header):
    path = tmp_path / "case.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("imgs.npy", array(header + "\n"))
    with pytest.raises(FileFormatError, match=r"case\.npz") as caught:
        read_case(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(4, 4, 5), (1 << 20, 1 << 20, 1 << 20), (4, 4, 3)])
@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_memory_does_not_follow_a_header(tmp_path, shape, packing, monkeypatch):
    path = tmp_path / "case.npz"
    with zipfile.ZipFile(path, "w", packing) as archive:
        archive.writestr("imgs.npy", array(claim(shape)))
    monkeypatch.setattr(npz_arrays.npy, "read_array", lambda *_, **__: pytest.fail("it was read"))
    with pytest.raises(FileFormatError, match="cut short or its header is damaged"):
        read_case(path)


def test_memory_does_not_follow_the_list_of_contents(tmp_path):
    path = tmp_path / "case.npz"
    content = array(claim((4096, 1024, 1024)), b"")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("imgs.npy", content)
    data = bytearray(path.read_bytes())
    size = struct.pack("<I", len(content))
    lie = struct.pack("<I", 4_000_000_000)
    while size * 2 in data:  # packed and unpacked size, in both lists of contents
        place = data.index(size * 2)
        data[place : place + 8] = lie * 2
    path.write_bytes(data)
    with pytest.raises(FileFormatError, match=r"case\.npz"):
        read_case(path)


def test_other_packings_are_refused(tmp_path):
    path = tmp_path / "case.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("imgs.npy", array(claim((4, 4, 4))))
    with pytest.raises(FileFormatError, match="packed in a way"):
        read_case(path)


def test_a_flipped_byte_is_found(tmp_path):
    path = save(tmp_path, imgs=IMAGE)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match="cannot be read"):
        read_case(path)


def test_the_shared_cases(shared_ct):
    case = read_case(shared_ct / "3DBox_CT_tseg.npz")
    assert case.volume.shape == (30, 101, 122)
    assert len(case.boxes) == 23
    assert case.boxes[0] == Box3D(0, 43, 78, 29, 78, 111)
    truth = read_case(shared_ct / "CT_tseg_gts.npz").gts
    assert truth.max() == 23
    # The boxes are those of the organs: the order of the corners is as documented.
    where = np.argwhere(truth == 1)
    assert where.min(axis=0).tolist() == [0, 43, 78]
    assert where.max(axis=0).tolist() == [29, 78, 111]
