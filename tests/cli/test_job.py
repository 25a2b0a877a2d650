"""What ``segment`` makes of its options and of a run file."""

import json
from dataclasses import replace

import numpy as np
import pytest

from napari_medsam_lite.cli.commands import build_parser, join_numbers
from napari_medsam_lite.cli.segment import gather_job
from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.errors import CheckpointError
from napari_medsam_lite.core.settings import Settings
from napari_medsam_lite.io.runfile import RunRecord, save_run
from napari_medsam_lite.model.weights import OFFICIAL_SHA256

BOX = Box3D(z0=3, y0=2, x0=1, z1=6, y1=5, x1=4)
RECORD = RunRecord(
    input="ct.nii.gz",
    boxes=(BOX,),
    settings=Settings("lung", 1, "sdpa", "cpu", None, "published", "overwrite"),
    checkpoint_sha256=OFFICIAL_SHA256,
    names=("liver",),
    ids=(7,),
    spacing=(5.0, 0.8, 0.7),
)


def job(*options):
    arguments = ["segment", "ct.nii.gz", "-o", "out.nii.gz", *map(str, options)]
    return gather_job(build_parser().parse_args(join_numbers(arguments)))


@pytest.fixture
def run_file(tmp_path):
    path = tmp_path / "run.json"
    save_run(path, RECORD, np.eye(4))
    return path


def test_the_defaults_are_those_of_the_dock():
    assert job().settings == Settings()
    assert (job().settings.propagation, job().settings.overlap) == ("guided", "surer")


@pytest.mark.parametrize(
    ("text", "rule"),
    [("keep", "keep"), ("overwrite", "overwrite"), ("later", "overwrite"), ("earlier", "keep")],
)
def test_overlap_rules_and_their_former_names(text, rule):
    assert job("--overlap", text).settings.overlap == rule


def test_options_become_settings():
    options = ("--window", "-600,1500", "--axis", 2, "--propagation", "published", "--cache")
    assert job(*options, "--preset", "sdpa", "--device", "cuda:1").settings == Settings(
        "-600,1500", 2, "sdpa", "cuda:1", None, "published", "surer", True
    )


def test_boxes_may_start_before_the_image():
    assert job("--box", "-5,-2,0,4,5,6").boxes == (Box3D(0, -2, -5, 6, 5, 4),)


def test_names_come_with_the_boxes(tmp_path):
    path = tmp_path / "boxes.csv"
    path.write_text("name,x0,y0,z0,x1,y1,z1\nliver,1,2,3,4,5,6\n")
    given = job("--box", "0,0,0,1,1,1", "--boxes", path)
    assert given.boxes == (Box3D(0, 0, 0, 1, 1, 1), BOX)
    assert given.names == ("", "liver")


def test_a_run_file_is_done_again(run_file):
    again = job("--run", run_file)
    assert (again.settings, again.boxes, again.names) == (RECORD.settings, (BOX,), ("liver",))
    assert (again.ids, again.spacing) == ((7,), (5.0, 0.8, 0.7))
    other = job("--run", run_file, "--axis", 0, "--overlap", "keep", "--preset", "eager")
    assert other.settings == replace(RECORD.settings, axis=0, overlap="keep", preset="eager")
    another = job("--run", run_file, "--box", "0,0,0,1,1,1")
    assert (another.names, another.ids) == (("",), (1,))


def test_auto_is_an_option_like_the_others(run_file):
    again = job("--run", run_file, "--preset", "auto", "--device", "auto", "--window", "auto")
    assert again.settings == replace(RECORD.settings, preset="auto", device="auto", window="auto")


@pytest.mark.parametrize("ending", ["finished", "cancelled", "failed"])
def test_a_run_that_ended_early_is_told(run_file, capsys, ending):
    save_run(run_file, replace(RECORD, ending=ending), np.eye(4))
    job("--run", run_file)
    told = capsys.readouterr().err.splitlines()
    if ending == "finished":
        assert told == []
    else:
        assert told == [f"{run_file}: that run ended early ({ending}); now it is done to its end."]


def test_a_run_with_other_weights_is_refused(run_file, tmp_path, capsys):
    content = json.loads(run_file.read_text())
    run_file.write_text(json.dumps(content | {"checkpoint_sha256": "ab" * 32}))
    with pytest.raises(CheckpointError, match=r"run\.json was made with other weights .*abab"):
        job("--run", run_file)
    weights = tmp_path / "mine.pth"
    weights.write_bytes(b"weights")
    assert job("--run", run_file, "--checkpoint", weights).settings.checkpoint == str(weights)
    assert "other weights" in capsys.readouterr().err
