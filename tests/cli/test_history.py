"""``medsam-lite history``, and that ``segment`` records what it has done."""

import json
from datetime import UTC, datetime

import imageio.v3 as iio
import numpy as np
import pytest

from napari_medsam_lite.cli import main
from napari_medsam_lite.cli.recording import Done, recorded
from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.core.settings import Settings
from napari_medsam_lite.engine.batch import Outcome
from napari_medsam_lite.io.history import History
from napari_medsam_lite.io.history_entry import HistoryEntry
from napari_medsam_lite.io.overlay import to_png
from napari_medsam_lite.io.runfile import RunRecord, load_run

PNG = to_png(np.zeros((4, 5, 3), np.uint8))
AFFINE = ((3.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))


def entry(image, **fields):
    given = {"kind": "volume", "preset": "sdpa", "device": "cpu", **fields}
    return HistoryEntry(image, "f", **given)


@pytest.fixture
def runs():
    record = RunRecord("ct", (Box3D(1, 2, 3, 4, 5, 6),), Settings(), "0", ids=(1,))
    runs = [
        entry("CT liver", segments=("liver [x]",), score=0.9, worst=0.5, id="aa11",
              record=record, affine=AFFINE, started=datetime(2026, 1, 2, tzinfo=UTC)),
        entry("CT spleen", preset="openvino", ending="cancelled", id="ab22", seconds=9.0),
        entry("MR", ending="failed", id="bb33", seconds=3.0),
    ]  # fmt: skip
    for run in runs:
        History().add(run, PNG)
    return runs


def listed(capsys, *arguments):
    assert main(["history", "--json", *arguments]) == 0
    return [row["image"] for row in json.loads(capsys.readouterr().out)]


def test_nothing_was_run_yet(capsys):
    assert main(["history", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ([], ["MR", "CT spleen", "CT liver"]),
        (["--image", "ct"], ["CT spleen", "CT liver"]),
        (["--preset", "openvino"], ["CT spleen"]),
        (["--ending", "failed"], ["MR"]),
        (["--sort", "seconds"], ["CT liver", "MR", "CT spleen"]),
        (["--sort", "time", "--limit", "1"], ["CT liver"]),
        (["--reverse"], ["CT liver", "CT spleen", "MR"]),
    ],
)
def test_runs_are_listed(runs, capsys, arguments, found):
    assert listed(capsys, *arguments) == found


def test_the_table_is_for_people(runs, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    assert main(["history", "--limit", "2", "--sort", "image"]) == 0
    told = capsys.readouterr()
    for text in ("aa11", "CT liver", "liver [x]", "0.90", "openvino", "cancelled"):
        assert text in told.out
    assert "MR" not in told.out
    assert told.err == "2 of 3 runs; --limit N shows more.\n"


def test_runs_are_deleted_for_good(runs, capsys):
    assert main(["history", "--delete", "aa", "--delete", "bb33"]) == 0
    assert capsys.readouterr().err == "2 removed.\n"
    assert listed(capsys) == ["CT spleen"]
    History().restore(["aa11"])
    assert listed(capsys) == ["CT spleen"]


def test_a_picture_and_a_run_file(runs, tmp_path, capsys):
    picture, run = tmp_path / "a.png", tmp_path / "run.json"
    assert main(["history", "--picture", "aa", str(picture), "--run", "aa", str(run)]) == 0
    assert iio.imread(picture).shape == (4, 5, 3)
    assert load_run(run).boxes == runs[0].record.boxes


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--delete", "a"], "Several runs begin with 'a'"),
        (["--delete", "aa", "--delete", "zz"], "There is no run 'zz'"),
        (["--picture", "aa", "x.jpg"], "end with .png"),
        (["--picture", "aa", "there.png"], "is there already"),
        (["--run", "bb", "x.json"], "never began"),
    ],
)
def test_failures_are_one_sentence(runs, arguments, told, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.png").write_text("mine")
    assert main(["history", *arguments]) == 1
    assert told in capsys.readouterr().err
    assert len(listed(capsys)) == 3
    assert [each.name for each in tmp_path.glob("*.*")] == ["there.png"]


def test_what_cannot_be_kept_is_told_once_and_fails_nothing(own_state, capsys):
    own_state.write_text("in the way of the folder")
    error = MedSAMLiteError("Bad.")
    outcomes = [
        Outcome("a", Done({"n": 1}, entry("a"), PNG)),
        Outcome("b", error=error),
        Outcome("c", Done({"n": 2}, entry("c"), PNG)),
    ]
    assert list(recorded(outcomes)) == [
        Outcome("a", {"n": 1}),
        Outcome("b", error=error),
        Outcome("c", {"n": 2}),
    ]
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot be used" in line
