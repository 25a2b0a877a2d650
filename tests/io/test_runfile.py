import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.core.settings import Settings
from napari_medsam_lite.core.volume import Source, Volume
from napari_medsam_lite.io.runfile import RunRecord, load_run, run_path, run_record, save_run

RUN = RunRecord(
    input="ct.nii.gz",
    boxes=(Box3D(1, 2, 3, 4, 5, 6, 2), Box3D(0, 0, 0, 9, 9, 9)),
    settings=Settings("40,400", 1, "sdpa", "cpu", None, "published", "overwrite", True),
    checkpoint_sha256="ab" * 32,
    names=("liver", ""),
    ids=(7, 300),
    spacing=(3.0, 0.8, 0.7),
    ending="cancelled",
    versions={"torch": "2.9"},
    seconds={"encode": 1.5},
    dice={"liver": 0.97},
)
FIRST = {
    "format": 1,
    "input": "ct.nii.gz",
    "boxes": [{"z0": 1, "y0": 2, "x0": 3, "z1": 4, "y1": 5, "x1": 6, "key": None}],
    "window": "abdomen",
    "axis": 0,
    "preset": "sdpa",
    "device": "x86_64 CPU, 2 threads",
    "propagation": "published",
    "checkpoint_sha256": "ab" * 32,
    "overlap": "later",
    "names": ["liver"],
    "versions": {},
    "seconds": {},
    "dice": {},
    "boxes_world_mm": [],
}
AFFINE = np.array([[3, 0, 0, 100], [0, 0, 0.8, -5], [0, -0.8, 0, 7], [0, 0, 0, 1.0]])


def saved(folder, **changes):
    """A run file with changes to it or to its settings."""
    path = folder / "run.json"
    save_run(path, RUN, AFFINE)
    content = json.loads(path.read_text())
    for name, value in changes.items():
        place = content["settings"] if name in content["settings"] else content
        place[name] = value
    path.write_text(json.dumps(content))
    return path


def test_there_and_back(tmp_path):
    path = saved(tmp_path)
    assert load_run(path) == RUN
    content = json.loads(path.read_text())
    assert content["boxes_world_mm"][0] == {"first": [103.0, -2.6, 5.4], "last": [112.0, -0.2, 3.0]}


def test_what_is_optional_may_be_missing(tmp_path):
    path = saved(tmp_path)
    content = json.loads(path.read_text())
    for field in dataclasses.fields(RunRecord):
        if (
            field.default is not dataclasses.MISSING
            or field.default_factory is not dataclasses.MISSING
        ):
            del content[field.name]
    path.write_text(json.dumps(content))
    run = load_run(path)
    assert run.boxes == RUN.boxes
    assert (run.ids, run.spacing, run.ending) == ((), None, "finished")


def test_a_file_of_the_first_version(tmp_path):
    path = tmp_path / "run.json"
    path.write_text(json.dumps(FIRST))
    run = load_run(path)
    old_ways = {"detail": "whole", "step": "1"}
    assert run.settings == Settings(
        "abdomen", 0, "sdpa", "auto", None, "published", "overwrite", **old_ways
    )
    assert run.boxes == (Box3D(1, 2, 3, 4, 5, 6),)
    assert run.names == ("liver",)
    assert (run.ids, run.spacing, run.ending) == ((), None, "finished")
    path.write_text(json.dumps({k: v for k, v in FIRST.items() if k != "overlap"}))
    assert load_run(path).settings.overlap == "logit"


def test_a_record_is_made_of_what_is_known(tmp_path):
    source = Source(tmp_path / "Jane Doe" / "ct.nii.gz")
    volume = Volume(np.zeros((2, 3, 4)), (1 / 3, 0.8, 0.7), source=source)
    mine = Settings(checkpoint=str(tmp_path / "Jane Doe" / "mine.pth"))
    told = {"names": ["a", "b"], "ids": [7, 8], "ending": "failed", "seconds": {"x": 1 / 3}}
    run = run_record(volume, RUN.boxes, mine, "cd" * 32, **told)
    assert (run.ids, run.ending, run.spacing) == ((7, 8), "failed", (1 / 3, 0.8, 0.7))
    assert (run.input, run.names, run.seconds) == ("ct.nii.gz", ("a", "b"), {"x": 0.3333})
    assert {"napari-medsam-lite", "numpy", "torch"} <= set(run.versions)
    save_run(tmp_path / "run.json", run, volume.affine)
    assert "Jane" not in (tmp_path / "run.json").read_text()
    assert load_run(tmp_path / "run.json") == run


@pytest.mark.parametrize("name", ["liver.nii.gz", "liver.NPZ", "liver.nii"])
def test_the_run_file_lies_beside_the_labels(name):
    assert run_path(Path("out", name)) == Path("out", "liver.run.json")


def test_not_over_another_file_unless_wanted(tmp_path):
    path = saved(tmp_path)
    with pytest.raises(FileFormatError, match="is there already"):
        save_run(path, RUN, AFFINE, overwrite=False)


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
        ({"on_disk": 1}, "'on_disk' is 1"),
        ({"overlap": "last"}, "no overlap rule 'last'"),
        ({"propagation": "blind"}, "no propagation 'blind'"),
        ({"settings": []}, r"'settings' is \[\]"),
        ({"ids": [1]}, r"'ids' is \[1\], not a label for each of 2 boxes"),
        ({"ids": [1, 0]}, "'ids' is"),
        ({"ids": [1, "2"]}, "'ids' is '2'"),
        ({"spacing": [1, 2]}, r"'spacing' is \[1, 2\]"),
        ({"spacing": [1, 2, 0]}, "'spacing' is"),
        ({"spacing": [1, 2, float("nan")]}, "'spacing' is"),
        ({"spacing": 3}, "'spacing' is 3"),
        ({"ending": "soon"}, "'ending' is 'soon'"),
        ({"ending": ["finished"]}, "'ending' is"),
        ({"dice": []}, r"'dice' is \[\]"),
    ],
)
def test_damaged_records_get_one_sentence(tmp_path, change, sentence):
    path = saved(tmp_path, **change)
    with pytest.raises(FileFormatError, match=sentence) as caught:
        load_run(path)
    assert "\n" not in str(caught.value)
    assert ".." not in str(caught.value)


@pytest.mark.parametrize("text", ["{", "[]", "{}", "\x00\xff"])
def test_other_files_are_refused(tmp_path, text):
    path = tmp_path / "run.json"
    path.write_text(text, "latin-1")
    with pytest.raises(FileFormatError, match=r"run\.json"):
        load_run(path)
