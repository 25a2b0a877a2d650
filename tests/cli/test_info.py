import json
from pathlib import Path

import numpy as np
import pytest

from napari_medsam_lite.cli import main
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.io.formats import write_labels

DICOM = Path(__file__).parents[2].parent / "shared" / "dicom"
real = pytest.mark.skipif(not DICOM.is_dir(), reason=f"the real DICOM files are not here ({DICOM})")


def info(capsys, path):
    assert main(["info", str(path), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@real
def test_every_series_of_a_folder_is_listed(capsys):
    found = info(capsys, DICOM)
    assert [one["number"] for one in found] == [1, 2, 3, 4, 5]
    body = found[-1]
    assert (body["description"], body["modality"]) == ("CT Body 3.0", "CT")
    assert body["shape"] == [20, 512, 512]
    np.testing.assert_allclose(body["spacing"], [2, 0.9765625, 0.9765625])
    assert (body["orientation"], body["oblique"], body["window"]) == ("SPL", False, [40, 300])
    told = " ".join(note for one in found for note in one["notes"])
    assert "One slice is missing" in told
    assert "gantry tilt, 14.0 degrees" in told
    assert [one["oblique"] for one in found] == [False, False, False, True, False]


@real
def test_it_is_told_in_words(capsys):
    assert main(["info", str(DICOM / "ts_abdomen20_j2k")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("ts_abdomen20_j2k: 1 CT 'CT Body 3.0'")
    assert [line.strip() for line in lines[1:]] == [
        "20 x 512 x 512 voxels of 2 x 0.9766 x 0.9766 mm (z, y, x)",
        "axes (z, y, x) to S, P, L",
        "window: level 40, width 300",
    ]


@real
def test_segments_are_listed_by_name(capsys):
    (found,) = info(capsys, DICOM / "ct_with_seg" / "partial_overlaps.dcm")
    assert found["labels"] == [1, 2, 3, 4, 5]
    assert found["names"] == ["GREEN", "ORANGE", "PURPLE", "LIGHT_BLUE", "DARK_BLUE"]
    assert "overlap in 3134 voxels" in found["notes"][0]
    assert main(["info", str(DICOM / "ct_with_seg" / "liver.dcm")]) == 0
    assert "labels: 1 Liver" in capsys.readouterr().out


def test_labels_and_boxes_of_a_folder(tmp_path, capsys):
    image = np.zeros((3, 4, 5), np.uint8)
    labels = image.copy()
    labels[1, 1], labels[2, 2] = 7, 2
    write_labels(tmp_path / "b.nii.gz", labels, Volume(image))
    np.savez(tmp_path / "a.npz", imgs=image, boxes=[[0, 0, 0, 2, 2, 2]], spacing=(0.7, 0.8, 3))
    (first, second) = info(capsys, tmp_path)
    assert (first["boxes"], first["labels"], first["shape"]) == (1, None, [3, 4, 5])
    assert (second["boxes"], second["labels"]) == (0, [2, 7])
    assert main(["info", str(tmp_path)]) == 0
    assert "labels: 2, 7" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["nowhere", "empty", "other.txt"])
def test_what_cannot_be_read(tmp_path, capsys, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "other.txt").write_text("no image")
    assert main(["info", str(tmp_path / name)]) == 1
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
