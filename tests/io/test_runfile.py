import dataclasses
import json

import numpy as np
import pytest

from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.io.runfile import RunRecord, load_run, save_run

RUN = RunRecord(
    input="ct.nii.gz",
    boxes=(Box3D(1, 2, 3, 4, 5, 6, 2), Box3D(0, 0, 0, 9, 9, 9)),
    window="40,400",
    axis=1,
    preset="sdpa",
    device="cpu",
    propagation="published",
    checkpoint_sha256="ab" * 32,
    overlap="last",
    names=("liver", "spleen"),
    versions={"torch": "2.9"},
    seconds={"encode": 1.5},
    dice={"liver": 0.97},
)
AFFINE = np.array([[3, 0, 0, 100], [0, 0, 0.8, -5], [0, -0.8, 0, 7], [0, 0, 0, 1.0]])


def test_there_and_back(tmp_path):
    path = tmp_path / "run.json"
    save_run(path, RUN, AFFINE)
    assert load_run(path) == RUN
    content = json.loads(path.read_text())
    assert content["boxes_world_mm"][0] == {"first": [103.0, -2.6, 5.4], "last": [112.0, -0.2, 3.0]}


def test_what_is_optional_may_be_missing(tmp_path):
    path = tmp_path / "run.json"
    save_run(path, RUN, AFFINE)
    content = json.loads(path.read_text())
    for field in dataclasses.fields(RunRecord):
        if (
            field.default is not dataclasses.MISSING
            or field.default_factory is not dataclasses.MISSING
        ):
            del content[field.name]
    path.write_text(json.dumps(content))
    assert load_run(path).boxes == RUN.boxes


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"format": 99}, "run format 99"),
        ({"axis": 3}, "axis is 3"),
        ({"axis": True}, "'axis' is True"),
        ({"boxes": 5}, "'boxes' is 5"),
        ({"boxes": [{"x0": 1}]}, "is missing"),
        ({"boxes": [3]}, "damaged"),
        ({"window": None}, "'window' is None"),
        ({"dice": []}, r"'dice' is \[\]"),
    ],
)
def test_damaged_records_get_one_sentence(tmp_path, change, sentence):
    path = tmp_path / "run.json"
    save_run(path, RUN, AFFINE)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(FileFormatError, match=sentence) as caught:
        load_run(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["{", "[]", "{}", "\x00\xff"])
def test_other_files_are_refused(tmp_path, text):
    path = tmp_path / "run.json"
    path.write_text(text, "latin-1")
    with pytest.raises(FileFormatError, match=r"run\.json"):
        load_run(path)
