import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_medsam_lite.core.boxes import Box3D, WorldBox
from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.io.claims import Claim, Holder
from napari_medsam_lite.io.formats import write_labels
from napari_medsam_lite.io.work_case import STANDINGS, CaseStatus, WorkCase, WorkRow, count_of
from napari_medsam_lite.io.worklist import read_worklist

LABELS = np.ones((2, 3, 4), np.uint8)


@pytest.fixture
def case(tmp_path):
    return WorkCase("a", tmp_path / "a.nii.gz", tmp_path / "medsam-lite")


def write_labels_of(case):
    case.results.mkdir(exist_ok=True)
    write_labels(case.labels, LABELS, Volume(LABELS))


def test_a_folder_lists_its_images_alone(tmp_path, write_series):
    write_series(tmp_path / "ct1", np.zeros((2, 3, 4), np.int16))
    for name in ("b.npz", "a.nii.gz", "c.NRRD", "d.medsam.json", "d.run.json", "e.boxes.csv"):
        (tmp_path / name).touch()
    write_labels(tmp_path / "a labels.seg.nrrd", LABELS, Volume(LABELS))
    write_labels(tmp_path / "b_labels.npz", LABELS, Volume(LABELS))
    before = read_worklist(tmp_path)
    assert [each.name for each in before] == ["a", "b", "c", "ct1"]
    assert before[3].source == tmp_path / "ct1"
    for each in before:
        each.mark("begun")
        write_labels_of(each)
    assert read_worklist(tmp_path) == before
    assert {p.name for p in tmp_path.iterdir() if p.is_dir()} == {"ct1", "medsam-lite"}


def test_cases_of_one_name_are_refused(tmp_path):
    for name in ("a.npz", "A.nii.gz"):
        (tmp_path / name).touch()
    with pytest.raises(FileFormatError, match=r"of A\.nii\.gz and a\.npz would both be called"):
        read_worklist(tmp_path)


def test_a_list_names_cases_by_their_folders_too(tmp_path):
    listed = tmp_path / "mine.txt"
    far = Path(tmp_path.anchor) / "far" / "x.npz"
    listed.write_text(
        f"# today\n\np1/ct.nii.gz\n p2/ct.nii.gz # sees little\np1/ct.nii.gz\n{far}\n"
    )
    first, second, third = read_worklist(listed)
    assert [first.name, second.name, third.name] == ["p1_ct", "p2_ct", "far_x"]
    assert first.source == tmp_path / "p1" / "ct.nii.gz"
    assert third.source == far
    assert {each.results for each in (first, second, third)} == {tmp_path / "medsam-lite"}
    listed.write_text("p2/ct.nii.gz\n")
    assert read_worklist(listed) == (second,)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("# nothing\n", "names no case"), ("", "is empty"), ("\xff\xfe", "cannot be read as a list")],
)
def test_lists_that_are_none(tmp_path, text, sentence):
    listed = tmp_path / "mine.txt"
    listed.write_bytes(text.encode("latin-1"))
    with pytest.raises(FileFormatError, match=sentence):
        read_worklist(listed)
    with pytest.raises(FileFormatError, match="does not exist"):
        read_worklist(tmp_path / "nowhere.txt")


def test_a_status_is_kept_beside_the_data(case, monkeypatch):
    assert case.status() == CaseStatus()
    monkeypatch.setattr("napari_medsam_lite.io.claims._user", lambda: "reader-1")
    before = datetime.now(UTC) - timedelta(seconds=1)
    told = case.mark("begun", "the spleen\n is  missing ")
    assert told == case.status()
    assert (told.standing, told.note) == ("begun", "the spleen is missing")
    assert told.who.startswith("reader-1 on ")
    assert before <= datetime.fromisoformat(told.changed) <= datetime.now(UTC)
    assert case.mark("done").note == told.note
    assert case.mark("done", "").note == ""
    assert [path.name for path in case.results.iterdir()] == ["a.status.json"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(standing=st.sampled_from(STANDINGS), note=st.text(st.characters(exclude_categories=["Cs"])))
def test_any_status_is_read_as_it_was_written(case, standing, note):
    assert case.mark(standing, note) == case.status()
    assert case.status().note == " ".join(note.split())[:2000]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=st.binary(max_size=200))
def test_a_damaged_status_needs_review(case, content):
    case.results.mkdir(exist_ok=True)
    case.status_file.write_bytes(content)
    status = case.status()
    assert status.standing == "needs review"
    assert "status file is damaged" in status.note


@pytest.mark.parametrize(
    "content", [[], {"status": "old"}, {"status": "done", "note": 3}, {"status": ["new"]}, None]
)
def test_a_status_that_says_nothing_needs_review(case, content):
    case.results.mkdir()
    case.status_file.write_text(json.dumps(content))
    assert case.status().standing == "needs review"


def test_a_status_cut_short_by_a_full_disk_leaves_the_old_one(case, full_disk):
    told = case.mark("begun", "all well")
    with full_disk(at=10), pytest.raises(FileFormatError, match="cannot be written"):
        case.mark("done", "better")
    assert case.status() == told
    assert [path.name for path in case.results.iterdir()] == ["a.status.json"]


def test_labels_of_a_new_case_are_first_answers(case):
    assert not WorkRow.of(case).answered
    write_labels_of(case)
    row = WorkRow.of(case)
    assert row.answered
    assert count_of([row], "new") == 1
    case.mark("begun")
    assert not WorkRow.of(case).answered


def test_one_has_a_case_and_others_are_told(case):
    assert case.holder() is None
    claim = case.claim()
    assert isinstance(claim, Claim)
    assert WorkRow.of(case).holder.pid == os.getpid()
    assert isinstance(case.claim(), Holder)
    claim.release()
    assert case.holder() is None


def test_boxes_beside_a_case(case):
    assert case.named_boxes() == []
    case.source.with_name("a.boxes.csv").write_text(
        "name,x0_mm,y0_mm,z0_mm,x1_mm,y1_mm,z1_mm\nliver,0,1,2,3,4,5\n"
    )
    assert case.named_boxes() == [("liver", WorldBox(0, 1, 2, 3, 4, 5))]
    case.source.with_name("a.boxes.json").write_text("[[1, 2, 3, 4, 5, 6]]")
    assert case.named_boxes() == [("", Box3D(3, 2, 1, 6, 5, 4))]
