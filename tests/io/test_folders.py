from pathlib import Path

import numpy as np
import pytest

from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.io.folders import answer_name, list_cases, stem

DATA = np.zeros((2, 3, 4), np.int16)


def test_hidden_files_are_no_cases(tmp_path):
    for name in ("b.npz", "a.nii.gz", "._a.nii.gz", ".medsam-lite-0-1-2.a.nii.gz", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in list_cases(tmp_path)] == ["a.nii.gz", "b.npz"]


def test_folders_without_cases(tmp_path, monkeypatch):
    (tmp_path / "file.txt").touch()
    for folder in (tmp_path, tmp_path / "nowhere", tmp_path / "file.txt"):
        with pytest.raises(FileFormatError, match="is no folder with files that end with"):
            list_cases(folder)
    with pytest.raises(FileFormatError, match="too long"):
        list_cases(tmp_path / ("x" * 300))

    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.iterdir", refuse)
    with pytest.raises(FileFormatError, match="cannot be read: Permission denied"):
        list_cases(tmp_path)


def test_dicom_files_make_their_folder_a_case(tmp_path, write_series):
    write_series(tmp_path / "ct1", DATA)
    write_series(tmp_path / "study" / "series", DATA, name="{}.dcm")
    (tmp_path / "a.nii.gz").touch()
    (tmp_path / "empty").mkdir()
    assert [p.name for p in list_cases(tmp_path)] == ["a.nii.gz", "ct1", "study"]
    assert list_cases(tmp_path / "ct1") == [tmp_path / "ct1"]


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("ct.NII.gz", "ct.NII.gz"),
        ("case.npz", "case.npz"),
        ("IM0001", "IM0001.nii.gz"),
        ("slice.dcm", "slice.nii.gz"),
        ("1.2.840.1", "1.2.840.1.nii.gz"),
    ],
)
def test_answers_are_called_as_their_case(name, answer):
    assert answer_name(Path(name)) == answer
    assert stem(Path(name)) + answer[len(stem(Path(name))) :] == answer


def test_a_folder_keeps_its_name(tmp_path, monkeypatch):
    folder = tmp_path / "ct.dcm"
    folder.mkdir()
    assert answer_name(folder) == "ct.dcm.nii.gz"
    monkeypatch.chdir(folder)
    assert answer_name(Path()) == "ct.dcm.nii.gz"
