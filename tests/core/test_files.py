import errno
import os
import subprocess
import sys
import threading

import pytest

from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.core.files import (
    check_writable,
    identity_of,
    make_folder,
    remove_leftovers,
    replacing,
)


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


def link(path, target):
    try:
        path.symlink_to(target)
    except OSError:
        pytest.skip("no symbolic links here")
    return path


def test_links_that_lead_round_in_a_circle(tmp_path):
    path = link(tmp_path / "a.json", "b.json")
    link(tmp_path / "b.json", "a.json")
    with pytest.raises(FileFormatError, match="round in a circle"), replacing(path):
        pass
    with pytest.raises(FileFormatError, match="round in a circle"):
        check_writable(path)


@pytest.mark.parametrize("name", ["x" * 250 + ".npz", "\N{GREEK SMALL LETTER PI}" * 123 + ".npz"])
def test_a_name_as_long_as_the_system_allows(tmp_path, name):
    target = tmp_path / name
    with replacing(target) as temporary:
        temporary.write_bytes(b"new")
    assert target.read_bytes() == b"new"


def test_too_long_a_name(tmp_path):
    path = tmp_path / ("x" * 300)
    with pytest.raises(FileFormatError, match="too long"), replacing(path):
        pass
    with pytest.raises(FileFormatError, match="too long"):
        check_writable(path)


def test_not_over_another_file_unless_wanted(tmp_path):
    target = tmp_path / "labels.npz"
    target.write_bytes(b"old")
    with pytest.raises(FileFormatError, match="is there already"):  # noqa: SIM117
        with replacing(target, overwrite=False):
            pytest.fail("the work was done in vain")
    assert target.read_bytes() == b"old"


@pytest.mark.parametrize("hard_links", [True, False])
def test_of_several_writers_at_once_one_succeeds(tmp_path, monkeypatch, hard_links):
    if not hard_links:

        def refuse(*_):
            raise OSError(errno.EPERM, "no hard links")

        monkeypatch.setattr("os.link", refuse)
    target, together = tmp_path / "labels.npz", threading.Barrier(8)
    won, told = [], []

    def write(number):
        try:
            with replacing(target, overwrite=False) as temporary:
                temporary.write_text(str(number))
                together.wait()
            won.append(number)
        except FileFormatError as error:
            told.append(str(error))

    threads = [threading.Thread(target=write, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert target.read_text() == str(*won)
    assert len(told) == 7
    assert all("is there already" in sentence for sentence in told)
    assert entries(tmp_path) == ["labels.npz"]


def test_what_can_be_written_is_found_out_without_a_trace(tmp_path):
    (tmp_path / "old.npz").write_bytes(b"old")
    check_writable(tmp_path / "old.npz")
    check_writable(tmp_path / "new.npz")
    check_writable(tmp_path / "new" / "folders" / "new.npz")
    assert entries(tmp_path) == ["old.npz"]
    for path, sentence in (
        (tmp_path, "a folder has that name"),
        (tmp_path / "old.npz" / "new.npz", "its folder is not a folder"),
    ):
        with pytest.raises(FileFormatError, match=sentence):
            check_writable(path)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_what_the_system_refuses_is_found_out(tmp_path, monkeypatch, number):
    def refuse(self, **_):
        raise OSError(number, "as the system says")

    monkeypatch.setattr("pathlib.Path.touch", refuse)
    with pytest.raises(FileFormatError, match=r"new\.npz cannot be written"):
        check_writable(tmp_path / "new.npz")


def test_one_file_under_many_names(tmp_path):
    file = tmp_path / "ct.nii"
    file.touch()
    assert identity_of(tmp_path / "." / "ct.nii") == identity_of(str(file))
    assert identity_of(link(tmp_path / "link.nii", "ct.nii")) == identity_of(file)
    os.link(file, tmp_path / "hard.nii")
    assert identity_of(tmp_path / "hard.nii") == identity_of(file)
    assert identity_of(tmp_path / "new.nii") == identity_of(tmp_path / "x" / ".." / "new.nii")
    assert identity_of(tmp_path / "new.nii") != identity_of(file)


KILLED = """
import os, sys
from napari_medsam_lite.core.files import replacing
with replacing(sys.argv[1]) as temporary:
    temporary.write_bytes(b"half")
    os._exit(1)
"""


def test_what_a_killed_process_left_is_removed(tmp_path):
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "labels.npz")], check=False)
    (left,) = entries(tmp_path)
    assert left.startswith(".")
    (tmp_path / ".labels.npz").touch()
    with replacing(tmp_path / "mine.npz") as alive:
        alive.touch()
        machine, number = left.split("-")[2:4]
        (tmp_path / left.replace(machine, "0" * 8)).touch()
        remove_leftovers(tmp_path)
        assert entries(tmp_path) == sorted(
            [".labels.npz", alive.name, left.replace(machine, "0" * 8)]
        )
    assert int(number) > 0
    remove_leftovers(tmp_path / "nowhere")


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FileFormatError, match="cannot be made"):
        make_folder(tmp_path / "file" / "folder")
