import numpy as np
import pytest

from napari_medsam_lite.core.errors import FileFormatError, UnsupportedImageError
from napari_medsam_lite.core.labelset import LabelClass
from napari_medsam_lite.core.settings import Settings
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.io.formats import read_volume, write_labels
from napari_medsam_lite.io.metadata import KEY
from napari_medsam_lite.io.opened import find_case, with_labels
from napari_medsam_lite.io.runfile import run_path, run_record, save_run
from napari_medsam_lite.io.worklist import read_worklist

SHAPE = (4, 6, 8)
AFFINE = np.array([[2.5, 0, 0, -30], [0, -0.8, 0, 12], [0, 0, -0.8, 7], [0, 0, 0, 1.0]])


@pytest.fixture
def nifti(tmp_path):
    """A worklist of one NIfTI image."""
    data = np.random.default_rng(0).integers(-1000, 1000, SHAPE, np.int16)
    nibabel = pytest.importorskip("nibabel")
    affine = np.diag([-0.8, -0.8, 2.5, 1.0])
    nibabel.save(nibabel.Nifti1Image(data.transpose(2, 1, 0), affine), tmp_path / "a.nii.gz")
    return tmp_path


def open_case(case):
    return with_labels(case, find_case(case))


def kinds(opened):
    return [kind for _, _, kind in opened.layers]


def put_labels(case, fingerprint=None):
    """Labels on the case, with a run file that says which image they are of, if one is named."""
    case.results.mkdir()
    labels = np.random.default_rng(1).integers(0, 3, SHAPE, np.uint8)
    volume = read_volume(case.source)
    write_labels(case.labels, labels, volume)
    if fingerprint is not None:
        made_on = {"boxes": [], "settings": Settings(), "checkpoint_sha256": "0"}
        run = run_record(volume, **made_on, fingerprint=fingerprint)
        save_run(run_path(case.labels), run, volume.affine)
    return labels


def test_labels_that_name_their_image_are_taken(nifti):
    (case,) = read_worklist(nifti)
    labels = put_labels(case, read_volume(case.source).fingerprint)
    opened = open_case(case)
    assert np.array_equal(opened.layers[1][0], labels)
    assert opened.notes == ()


def test_labels_that_name_another_image_are_refused(nifti):
    (case,) = read_worklist(nifti)
    put_labels(case, "0" * 32)
    with pytest.raises(FileFormatError, match=r"a\.nii\.gz is of another image than a"):
        open_case(case)


def test_labels_that_do_not_name_their_image_are_told(nifti):
    (case,) = read_worklist(nifti)
    put_labels(case)
    assert "does not say which image" in " ".join(open_case(case).notes)


def test_an_image_alone(nifti):
    (case,) = read_worklist(nifti)
    opened = open_case(case)
    assert kinds(opened) == ["image"]
    assert opened.notes == ()


def test_boxes_and_labels_come_along(nifti):
    (case,) = read_worklist(nifti)
    (nifti / "a.boxes.json").write_text(
        '[{"name": "liver", "x0": 1, "y0": 1, "z0": 0, "x1": 6, "y1": 4, "z1": 3}]'
    )
    labels = np.random.default_rng(1).integers(0, 3, SHAPE, np.uint8)
    case.results.mkdir()
    classes = [LabelClass(1, "liver", (1, 2, 3)), LabelClass(2, "spleen", (4, 5, 6))]
    write_labels(case.labels, labels, read_volume(case.source), classes=classes)
    opened = open_case(case)
    assert kinds(opened) == ["image", "shapes", "labels"]
    (_, image, _), (rectangles, boxes, _), (data, look, _) = opened.layers
    assert np.array_equal(data, labels)
    assert data.flags.writeable
    assert boxes["features"]["name"] == ["liver"]
    assert (rectangles[0].min(0).tolist(), rectangles[0].max(0).tolist()) == ([1, 1, 1], [1, 4, 6])
    assert look["features"]["name"] == ["", "liver", "spleen"]
    assert look["metadata"][KEY]["fingerprint"] == image["metadata"][KEY]["fingerprint"]
    assert look["scale"] == image["scale"]


def test_labels_of_another_image_are_refused(nifti):
    (case,) = read_worklist(nifti)
    case.results.mkdir()
    labels = np.ones((4, 6, 9), np.uint8)
    write_labels(case.labels, labels, Volume(labels, affine=AFFINE))
    with pytest.raises(UnsupportedImageError, match="do not lie on the voxels of a"):
        open_case(case)


def test_damage_is_told(nifti):
    (case,) = read_worklist(nifti)
    (nifti / "a.boxes.csv").write_text("x0,y0\n1,2\n")
    with pytest.raises(FileFormatError, match="box 1 has no z0"):
        open_case(case)
    case.source.unlink()
    with pytest.raises(FileFormatError, match="does not exist"):
        open_case(case)


def test_the_largest_series_of_a_folder_with_its_labels(tmp_path, write_series):
    small, large = np.zeros((2, 6, 8), np.int16), np.ones(SHAPE, np.int16)
    folder = tmp_path / "study"
    write_series(folder / "1", small, SeriesInstanceUID="1.2.9", SeriesNumber=1)
    write_series(folder / "2", large)
    (case,) = read_worklist(tmp_path)
    (tmp_path / "study.boxes.json").write_text("[[1, 1, 0, 6, 4, 3]]")
    case.results.mkdir()
    labels = np.arange(np.prod(SHAPE), dtype=np.uint8).reshape(SHAPE)
    write_labels(case.labels, labels, open_case(case).found.contents.volume)
    opened = open_case(case)
    assert kinds(opened) == ["image", "shapes", "labels"]
    held = opened.layers[0][1]["metadata"][KEY]
    assert len(held["chosen"].slices) == 4
    assert np.array_equal(opened.layers[2][0], labels)
