"""First answers for the cases of a folder: each case once, whatever happens."""

import json
import os
import threading

import numpy as np
import pytest

from napari_medsam_lite.cli import main
from napari_medsam_lite.cli import worklist as command
from napari_medsam_lite.cli.cases import CaseRunner, Job
from napari_medsam_lite.cli.recording import Done
from napari_medsam_lite.cli.worklist import FirstAnswers, answers
from napari_medsam_lite.core.errors import PromptError
from napari_medsam_lite.core.settings import Settings
from napari_medsam_lite.engine.batch import Outcome, run_overlapped
from napari_medsam_lite.io.claims import Claim
from napari_medsam_lite.io.formats import read_labels
from napari_medsam_lite.io.work_case import WorkRow
from napari_medsam_lite.io.worklist import read_worklist

SHAPE = (3, 40, 50)


@pytest.fixture
def folder(tmp_path):
    """Cases a, b and c; c has no boxes."""
    folder = tmp_path / "cases"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in "abc":
        boxes = {} if name == "c" else {"boxes": np.array([[10, 10, 0, 30, 30, 2]])}
        data = rng.integers(0, 255, SHAPE, np.uint8)
        np.savez_compressed(folder / f"{name}.npz", imgs=data, spacing=[5.0, 0.8, 0.8], **boxes)
    return folder


@pytest.fixture
def network(monkeypatch):
    """No network: every case's labels are its boxes. Gives the names of the cases asked."""
    asked = []

    def labels(self, predictor, volume, case, boxes):
        asked.append(case.volume.name)
        (box,) = boxes
        found = np.zeros(case.volume.shape, np.uint8)
        found[box.z0 : box.z1 + 1, box.y0 : box.y1 + 1, box.x0 : box.x1 + 1] = 1
        return found, []

    monkeypatch.setattr(CaseRunner, "_labels", labels)
    return asked


@pytest.fixture
def work(own_cache):
    answer = FirstAnswers(Job(Settings(preset="sdpa", device="cpu")))
    return lambda case: answer(case).report


def outcomes(found):
    return {row["case"]: (row["outcome"], row.get("reason")) for row in found}


def test_a_case_is_answered_once(folder, network, work):
    first, second, third = read_worklist(folder)
    rows = [work(each) for each in (first, second, third, first)]
    assert [row["outcome"] for row in rows] == ["done", "done", "left", "left"]
    assert [row["reason"] for row in rows[2:]] == ["it has no boxes", "it has its answers"]
    assert network == ["a", "b"]
    assert read_labels(first.labels).sum() == 3 * 21 * 21
    assert first.holder() is None
    row = WorkRow.of(first)
    assert (row.status.standing, row.answered) == ("new", True)
    names = {path.name for path in first.results.iterdir()}
    assert names == {"a.nii.gz", "a.run.json", "b.nii.gz", "b.run.json"}


def test_boxes_beside_the_image_have_names(folder, network, work):
    (folder / "c.boxes.json").write_text(
        '[{"name": "liver", "x0": 1, "y0": 2, "z0": 0, "x1": 9, "y1": 9, "z1": 1}]'
    )
    case = read_worklist(folder)[2]
    assert work(case)["segments"] == [{"label": 1, "name": "liver", "slices": []}]


def test_what_a_person_has_is_left(folder, network, work):
    first, second, _ = read_worklist(folder)
    first.mark("begun")
    claim = second.claim()
    rows = [work(first), work(second)]
    claim.release()
    assert [row["outcome"] for row in rows] == ["left", "left"]
    assert rows[0]["reason"].startswith("it is begun (")
    assert rows[1]["reason"].endswith("has it")
    assert not network
    assert not first.has_labels


def test_what_a_person_begins_meanwhile_is_not_written(folder, network, work, monkeypatch):
    (first, *_) = read_worklist(folder)
    segment = CaseRunner.segment

    def begun_meanwhile(self, files, contents):
        first.mark("begun")
        return segment(self, files, contents)

    monkeypatch.setattr(CaseRunner, "segment", begun_meanwhile)
    assert work(first)["outcome"] == "left"
    assert not first.has_labels


def test_the_claim_is_kept_fresh_and_let_go_of_when_it_fails(folder, work, monkeypatch):
    (first, *_) = read_worklist(folder)
    refreshed = threading.Event()
    refresh = Claim.refresh
    monkeypatch.setattr("napari_medsam_lite.io.kept_claim.REFRESH_S", 0.01)
    monkeypatch.setattr(Claim, "refresh", lambda self: (refreshed.set(), refresh(self))[1])

    def segment(self, files, contents):
        assert first.holder().pid == os.getpid()
        assert refreshed.wait(20)
        raise PromptError("no")

    monkeypatch.setattr(CaseRunner, "segment", segment)
    with pytest.raises(PromptError):
        work(first)
    assert first.holder() is None


def test_a_full_disk_leaves_nothing_and_the_next_time_it_is_done(folder, network, work, full_disk):
    cases = read_worklist(folder)[:2]
    with full_disk(at=40):
        found = list(run_overlapped(lambda c: c, lambda _, c: c, lambda _, c: work(c), cases))
    assert all("cannot be written" in str(each.error) for each in found)
    assert list(cases[0].results.iterdir()) == []
    assert [work(each)["outcome"] for each in cases] == ["done", "done"]


def test_what_an_own_worker_had_is_tried_again(folder, network, work, monkeypatch):
    """The worker that had it is gone by then; what a colleague has is not waited for."""
    monkeypatch.setattr(command, "PAUSE_S", 0.01)
    cases = read_worklist(folder)[:2]
    claims = {case.name: case.claim() for case in cases}
    who = claims["b"].holder
    file = claims["b"]._file
    file.write_text(json.dumps({**vars(who), "who": "reader-1", "host": "ws2"}))
    rounds = []

    def start(work, some, workers):
        rounds.append([case.name for case in some])
        yield from (Outcome(case, Done(work(case))) for case in some)
        claims["a"].release()

    monkeypatch.setattr(command, "run_in_processes", start)
    found = [each.result for each in answers(cases, work, 2, None)]
    assert rounds == [["a", "b"], ["a"]]
    assert outcomes(found) == {"a": ("done", None), "b": ("left", "reader-1 on ws2 has it")}


def test_from_the_command_line_in_processes(folder, capsys, tmp_path, monkeypatch):
    """With the real network; a worker process finds the cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (folder / "d.npz").write_bytes(b"no image")
    options = ["--worklist", str(folder), "--preset", "sdpa", "--device", "cpu", "--workers", "2"]
    read_worklist(folder)[1].mark("done")
    assert main(["segment", *options, "--json"]) == 1
    told = capsys.readouterr()
    rows = json.loads(told.out)
    assert {name: outcome for name, (outcome, _) in outcomes(rows).items()} == {
        "a": "done", "b": "left", "c": "left", "d": "failed",
    }  # fmt: skip
    assert "d: failed" in told.err
    assert "1 done, 2 left as they are, 1 failed." in told.err
    (folder / "d.npz").unlink()
    assert main(["segment", *options]) == 0
    assert "a: left, it has its answers" in capsys.readouterr().out


def test_the_table(folder, capsys):
    first, second, _ = read_worklist(folder)
    first.mark("needs review", "see slice 3")
    claim = second.claim()
    assert main(["worklist", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("a  needs review; ")
    assert lines[0].endswith("; see slice 3")
    assert " has it since 20" in lines[1]
    assert lines[2:] == ["c  new", "0 of 3 done"]
    assert main(["worklist", str(folder), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    claim.release()
    assert [row["status"] for row in rows] == ["needs review", "new", "new"]
    assert rows[1]["holder"]["who"].split(" on ")[0] == claim.holder.who
    assert main(["worklist", str(folder / "nowhere")]) == 1
    assert "does not exist" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["segment", "ct.nii.gz"],
        ["segment", "-o", "out.nii.gz"],
        ["segment", "--worklist", "cases", "-o", "out"],
        ["segment", "--worklist", "cases", "--box", "1,2,3,4,5,6"],
        ["segment", "ct.nii.gz", "--worklist", "cases"],
    ],
)
def test_wrong_use_is_status_2(arguments):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
