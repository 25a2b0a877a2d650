import errno

import pytest

from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.core.files import replacing
from napari_medsam_lite.io.guard import reading


def entries(folder):
    return sorted(p.name for p in folder.iterdir())


def test_a_file_appears_whole(tmp_path):
    target = tmp_path / "labels.nii.gz"
    with replacing(target) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.endswith("labels.nii.gz")
        temporary.write_bytes(b"new")
        assert not target.exists()
    assert target.read_bytes() == b"new"
    assert entries(tmp_path) == ["labels.nii.gz"]


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EACCES, "permission is denied"),
        (errno.EROFS, "read-only"),
        (errno.EIO, "choose another file"),
    ],
)
def test_a_failed_write_leaves_the_old_file(tmp_path, number, advice):
    target = tmp_path / "run.json"
    target.write_bytes(b"old")
    sentence = rf"run\.json cannot be written: .*{advice}"
    with pytest.raises(FileFormatError, match=sentence) as caught, replacing(target) as temporary:
        temporary.write_bytes(b"half")
        raise OSError(number, "as the system says")
    assert "\n" not in str(caught.value)
    assert target.read_bytes() == b"old"
    assert entries(tmp_path) == ["run.json"]


def test_any_other_failure_leaves_the_old_file_too(tmp_path):
    target = tmp_path / "run.json"
    target.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), replacing(target) as temporary:
        temporary.write_bytes(b"half")
        raise ZeroDivisionError
    assert target.read_bytes() == b"old"
    assert entries(tmp_path) == ["run.json"]


def test_a_missing_folder_and_a_folder_in_the_way(tmp_path):
    missing = tmp_path / "nowhere" / "a.npz"
    sentence = "its folder does not exist"
    with pytest.raises(FileFormatError, match=sentence), replacing(missing) as temporary:
        temporary.write_bytes(b"")
    (tmp_path / "a.npz").mkdir()
    with (
        pytest.raises(FileFormatError, match="a folder has that name"),
        replacing(tmp_path / "a.npz"),
    ):
        pass


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real.json").write_bytes(b"old")
    link = tmp_path / "link.json"
    try:
        link.symlink_to("real.json")
    except OSError:
        pytest.skip("no symbolic links here")
    with replacing(link) as temporary:
        temporary.write_bytes(b"new")
    assert link.is_symlink()
    assert (tmp_path / "real.json").read_bytes() == b"new"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (EOFError(), "is cut short"),
        (ValueError("bad magic\nmore"), r"cannot be read as a cake: bad magic\.$"),
        (PermissionError(), "permission is denied"),
        (MemoryError(), "more memory"),
        (KeyError("x"), "cannot be read as a cake"),
    ],
)
def test_damage_becomes_one_sentence(tmp_path, error, sentence):
    path = tmp_path / "a.cake"
    path.write_bytes(b"x")
    with pytest.raises(FileFormatError, match=sentence), reading(path, "a cake"):
        raise error


def test_missing_empty_and_folder(tmp_path):
    (tmp_path / "empty").touch()
    for name, sentence in (("no", "does not exist"), ("empty", "0 bytes"), (".", "is a folder")):
        with pytest.raises(FileFormatError, match=sentence), reading(tmp_path / name, "a cake"):
            pass
