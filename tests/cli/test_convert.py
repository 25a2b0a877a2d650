"""Labels from one format to another, as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest

from napari_medsam_lite.cli import main
from napari_medsam_lite.core.label_volume import on_grid_of
from napari_medsam_lite.core.labelset import BUILT_IN, LabelClass, LabelSet, color_of
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.io.formats import read_label_volume, read_volume, write_labels
from napari_medsam_lite.io.labelsets import write_label_set

SHAPE = (4, 5, 6)
AFFINE = np.array([[-0.8, 0, 0, 90], [0, 0.7, 0, -120], [0, 0, 5, 7], [0, 0, 0, 1.0]])
LABELS = np.zeros(SHAPE, np.uint8)
LABELS[1:3, 1:4, 2:5] = 5
LABELS[2, 0, 0] = 52
TOTAL = BUILT_IN["TotalSegmentator"]
LIVER, AORTA = TOTAL.named("liver"), TOTAL.named("aorta")


@pytest.fixture
def ct(tmp_path: Path) -> Path:
    path = tmp_path / "ct.nii.gz"
    nib.Nifti1Image(np.zeros(SHAPE[::-1], np.int16), AFFINE).to_filename(path)
    return path


@pytest.fixture
def nifti(tmp_path: Path, ct: Path) -> Path:
    path = tmp_path / "labels.nii.gz"
    write_labels(path, LABELS, read_volume(ct), classes=(LIVER, AORTA))
    return path


def convert(*arguments: object) -> int:
    return main(["convert", *map(str, arguments)])


@pytest.mark.parametrize("through", [["a.seg.nrrd"], ["a.nii"], ["a.npz"], ["a.seg.nrrd", "b.nii"]])
def test_there_and_back(tmp_path, ct, nifti, through, capsys):
    last = nifti
    for name in [*through, "end.nii.gz"]:
        assert convert(last, "-o", tmp_path / name, "--image", ct) == 0
        last = tmp_path / name
    assert capsys.readouterr().out.splitlines()[-1] == (
        f"{last}: liver, aorta; read back and compared"
    )
    found = read_label_volume(last)
    np.testing.assert_array_equal(found.data, LABELS)
    np.testing.assert_array_equal(nib.load(last).affine, nib.load(ct).affine)
    assert found.classes == (LIVER, AORTA)


def test_without_an_image_the_labels_have_their_own_place(tmp_path, nifti):
    assert convert(nifti, "-o", tmp_path / "a.seg.nrrd") == 0
    found = read_label_volume(tmp_path / "a.seg.nrrd")
    np.testing.assert_allclose(found.affine, read_label_volume(nifti).affine, atol=1e-9)


def test_a_turned_file_of_the_same_scan_is_put_on_the_image(tmp_path, ct, nifti):
    turned = nib.as_closest_canonical(nib.load(nifti))
    assert (turned.affine != nib.load(nifti).affine).any()
    turned.to_filename(tmp_path / "turned.nii.gz")
    assert convert(tmp_path / "turned.nii.gz", "-o", tmp_path / "a.nii", "--image", ct) == 0
    np.testing.assert_array_equal(read_label_volume(tmp_path / "a.nii").data, LABELS)


def test_a_file_for_each_segment_never_leaves_the_folder(tmp_path, ct):
    evil = LabelClass(5, "../../etc/passwd: Größe", color_of(5))
    write_labels(tmp_path / "l.nii.gz", LABELS, read_volume(ct), classes=(evil,))
    out = tmp_path / "out"
    out.mkdir()
    assert convert(tmp_path / "l.nii.gz", "-o", out / "l.seg.nrrd", "--each") == 0
    names = sorted(path.name for path in out.iterdir())
    assert names == ["l-5-etc_passwd_Größe.seg.nrrd", "l-52-label_52.seg.nrrd"]
    for name, number in zip(names, (5, 52), strict=True):
        found = read_label_volume(out / name)
        np.testing.assert_array_equal(found.data, np.where(number == LABELS, number, 0))
        assert [each.number for each in found.classes] == [number]


@pytest.mark.parametrize("names", ["TotalSegmentator", "set.json"])
def test_names_from_a_label_set(tmp_path, ct, names, capsys):
    write_labels(tmp_path / "l.npz", LABELS, read_volume(ct))
    if names.endswith("json"):
        names = tmp_path / names
        write_label_set(names, LabelSet("mine", (LIVER, AORTA)))
    out = tmp_path / "a.nii.gz"
    assert convert(tmp_path / "l.npz", "-o", out, "--image", ct, "--names", names, "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)["files"]
    assert row["output"] == str(out)
    assert [(s["number"], s["name"], s["code"]["value"]) for s in row["segments"]] == [
        (5, "liver", "10200004"),
        (52, "aorta", "15825003"),
    ]
    assert read_label_volume(out).classes == (LIVER, AORTA)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["labels.nii.gz", "-o", "a.tiff"], "labels are written as"),
        (["labels.nii.gz", "-o", "a.seg.nrrd", "--image", "none.nii"], "does not exist"),
        (["none.nii", "-o", "a.seg.nrrd"], "does not exist"),
        (["labels.nii.gz", "-o", "none/a.seg.nrrd"], "is not there|folder"),
        (["labels.nii.gz", "-o", "labels.nii.gz", "--overwrite"], "is an input"),
        (["labels.nii.gz", "-o", "ct.nii.gz", "--image", "ct.nii.gz"], "is an input"),
        (["labels.nii.gz", "-o", "old.nii.gz"], "is there already"),
        (["labels.nii.gz", "-o", "a.dcm"], "name their folder as the image"),
        (["labels.nii.gz", "-o", "a.dcm", "--image", "ct.nii.gz"], "name their folder"),
        (["labels.nii.gz", "-o", "a.nii.gz", "--image", "other.nii.gz"], "do not lie on"),
        (["labels.nii.gz", "-o", "a.nii.gz", "--names", "none"], "label sets have names"),
        (["labels.nii.gz", "-o", "a.nii.gz", "--names", "none.csv"], "does not exist"),
    ],
)
def test_what_goes_wrong_is_one_sentence(
    tmp_path, ct, nifti, arguments, sentence, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Path("old.nii.gz").write_bytes(b"old")
    nib.Nifti1Image(np.zeros(SHAPE[::-1], np.int16), AFFINE * 1.3).to_filename("other.nii.gz")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert convert(*arguments) == 1
    told = capsys.readouterr()
    assert told.out == "" and len(told.err.splitlines()) == 1
    assert any(part in told.err for part in sentence.split("|"))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_wrong_use_has_status_2(capsys):
    with pytest.raises(SystemExit) as stop:
        convert("labels.nii.gz")
    assert stop.value.code == 2


@pytest.fixture
def shared_dicom() -> Path:
    """The folder with real DICOM, beside the repository."""
    folder = Path(__file__).parents[2].parent / "shared" / "dicom"
    if not folder.is_dir():
        pytest.skip(f"the real DICOM files are not here ({folder})")
    return folder


def test_a_real_segmentation_through_every_format(tmp_path, shared_dicom, capsys):
    source = shared_dicom / "ct_with_seg"
    ct = source / "ct-3slice"
    volume = read_volume(ct)
    wanted = read_label_volume(source / "liver.dcm")
    last = source / "liver.dcm"
    for name in ("a.nii.gz", "b.seg.nrrd", "c.dcm", "d.labelmap.dcm", "e.npz", "f.dcm"):
        assert convert(last, "-o", tmp_path / name, "--image", ct) == 0
        last = tmp_path / name
        found = read_label_volume(last)
        assert found.classes == wanted.classes
        if name != "e.npz":
            np.testing.assert_array_equal(on_grid_of(found, volume), on_grid_of(wanted, volume))
    file = pydicom.dcmread(last)
    referred = {i.ReferencedSOPInstanceUID for i in file.ReferencedSeriesSequence[0][0x8, 0x114A]}
    images = {pydicom.dcmread(p, stop_before_pixels=True).SOPInstanceUID for p in ct.iterdir()}
    assert referred == images


def test_overlap_is_told(tmp_path, shared_dicom, capsys):
    source = shared_dicom / "ct_with_seg" / "partial_overlaps.dcm"
    assert convert(source, "-o", tmp_path / "a.seg.nrrd") == 0
    told = capsys.readouterr()
    assert "Segments overlap in 3134 voxels; there the later one is kept." in told.err
    assert "GREEN, ORANGE, PURPLE, LIGHT_BLUE, DARK_BLUE" in told.out


def test_labels_on_a_resampled_stack_are_no_segmentation_of_it(tmp_path, shared_dicom, capsys):
    ct = shared_dicom / "missing_slice_ge"
    volume = read_volume(ct)
    labels = np.zeros(volume.shape, np.uint8)
    labels[1, 5:9, 5:9] = 1
    path = tmp_path / "l.seg.nrrd"
    write_labels(path, labels, Volume(labels, volume.spacing, volume.affine))
    assert convert(path, "-o", tmp_path / "l.dcm", "--image", ct) == 1
    assert "missing" in capsys.readouterr().err
    assert convert(path, "-o", tmp_path / "l.nii.gz", "--image", ct) == 0
