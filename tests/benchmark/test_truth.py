from dataclasses import replace

import numpy as np
import pytest

from napari_medsam_lite.benchmark.truth import TruthFiles, find_truth, read_truth
from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.io.formats import write_labels


def truth():
    labels = np.zeros((3, 12, 12), np.uint8)
    labels[:, 1:8, 1:6], labels[0, 10:, 10:], labels[1:, 1:8, 8:] = 7, 2, 3
    return labels


def nifti_case(folder, names=None, shape=(3, 12, 12)):
    folder.mkdir(parents=True)
    volume = Volume(np.zeros(shape, np.int16), (3.0, 1.0, 1.0))
    write_labels(folder / "ct.nii.gz", volume.data, volume)
    write_labels(folder / "labels.nii.gz", truth(), replace(volume, data=truth()))
    if names is not None:
        (folder / "labels.csv").write_text(names, encoding="utf-8")
    return folder


def npz_case(path, **arrays):
    np.savez(path, imgs=np.zeros((3, 12, 12), np.uint8), **arrays)
    return path


def test_a_folder_of_cases(tmp_path):
    nifti_case(tmp_path / "b")
    (tmp_path / "empty").mkdir()
    npz = npz_case(tmp_path / "a.npz", gts=truth())
    npz_case(tmp_path / ".hidden.npz")
    inside = tmp_path / "b"
    assert find_truth(tmp_path) == [
        TruthFiles(inside / "ct.nii.gz", inside / "labels.nii.gz"),
        TruthFiles(npz),
    ]


def test_a_folder_that_is_a_case(tmp_path):
    folder = nifti_case(tmp_path / "case")
    (found,) = find_truth(folder)
    assert found.image.parent == folder


@pytest.mark.parametrize(
    ("name", "text"), [("none", "is no folder"), ("", "holds no case with its truth")]
)
def test_no_case(tmp_path, name, text):
    with pytest.raises(FileFormatError, match=text):
        find_truth(tmp_path / name)


def test_names_and_what_is_too_small(tmp_path):
    folder = nifti_case(tmp_path / "case", "\ufeffid,name\n7,liver\n2,node\n")
    case = read_truth(*find_truth(folder))
    assert case.name == "case"
    assert case.names == {3: "3", 7: "liver"}
    assert case.left_out == 1
    assert case.volume.spacing == (3.0, 1.0, 1.0)
    np.testing.assert_array_equal(case.organ(7), truth() == 7)


def test_an_npz(tmp_path):
    case = read_truth(TruthFiles(npz_case(tmp_path / "CT_a.npz", gts=truth())))
    assert (case.name, case.names) == ("CT_a", {3: "3", 7: "7"})
    assert read_truth(TruthFiles(npz_case(tmp_path / "b.npz"))) is None
    nothing = np.zeros((3, 12, 12), np.uint8)
    assert read_truth(TruthFiles(npz_case(tmp_path / "c.npz", gts=nothing))) is None


def test_one_pair_is_called_as_its_image(tmp_path):
    folder = nifti_case(tmp_path / "case")
    image = (folder / "ct.nii.gz").rename(folder / "scan.nii.gz")
    assert read_truth(TruthFiles(image, folder / "labels.nii.gz")).name == "scan"


def test_another_grid(tmp_path):
    (tmp_path / "case").mkdir()
    volume = Volume(np.zeros((2, 12, 12), np.int16))
    image = tmp_path / "ct.nii.gz"
    write_labels(image, volume.data, volume)
    labels = nifti_case(tmp_path / "other") / "labels.nii.gz"
    with pytest.raises(FileFormatError, match=r"\(3, 12, 12\), its image \(2, 12, 12\)"):
        read_truth(TruthFiles(image, labels))


def test_a_bad_table_of_names(tmp_path):
    folder = nifti_case(tmp_path / "case", "number,name\n7,liver\n")
    with pytest.raises(FileFormatError, match=r"labels\.csv cannot be read as a table of labels"):
        read_truth(*find_truth(folder))
