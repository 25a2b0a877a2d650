import os
import threading

import numpy as np
import pytest
from napari.layers import Image, Shapes

from napari_medsam_lite.acceleration.torch.backend import TorchBackend
from napari_medsam_lite.cli.cases import Job, _predictor
from napari_medsam_lite.cli.worklist import FirstAnswers
from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.core.settings import Settings
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.gui.session import case_ahead
from napari_medsam_lite.gui.session.engine import SessionEngine
from napari_medsam_lite.gui.session.errand import Errand
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.gui.session.worklist_tasks import OpenTask
from napari_medsam_lite.io.claims import Claim
from napari_medsam_lite.io.formats import read_labels, read_volume, write_labels
from napari_medsam_lite.io.worklist import read_worklist

SHAPE = (8, 20, 30)


@pytest.fixture(autouse=True)
def quick(own_cache, monkeypatch):
    monkeypatch.setattr(case_ahead, "PAUSE_MS", 20)


@pytest.fixture
def folder(tmp_path):
    """Three cases of one name and shape in a list; the second has a box."""
    for number in (1, 2, 3):
        path = tmp_path / f"p{number}" / "ct.nii.gz"
        path.parent.mkdir()
        data = np.random.default_rng(number).integers(0, 200, SHAPE, np.uint8)
        write_labels(path, data, Volume(data))
    (tmp_path / "p2" / "ct.boxes.json").write_text(
        '[{"name": "liver", "x0": 4, "y0": 3, "z0": 2, "x1": 11, "y1": 9, "z1": 5}]'
    )
    (tmp_path / "mine.txt").write_text("p1/ct.nii.gz\np2/ct.nii.gz\np3/ct.nii.gz\n")
    return tmp_path


@pytest.fixture
def cases(folder):
    return read_worklist(folder / "mine.txt")


@pytest.fixture
def worklist(session, folder, finish, cases, qtbot):
    """The list, its first case open."""
    session.state.read_ahead = False
    session.worklist.open(folder / "mine.txt")
    finish()
    assert session.worklist.state.current == 0
    yield session.worklist
    session.close()
    # A case that was just being opened is let go of by the worker.
    qtbot.waitUntil(lambda: [case.holder() for case in cases] == [None] * 3)


@pytest.fixture
def finish_of(qtbot):
    """Wait until what a session does has ended."""
    return lambda session: qtbot.waitUntil(lambda: not session.state.busy)


@pytest.fixture
def go(worklist, finish):
    def go(by=1):
        worklist.step(by)
        finish()

    return go


def kinds(viewer):
    return sorted(type(layer) for layer in viewer.layers)


def voxels(session):
    return np.asarray(session.state.image.data)


def draw(session):
    session.viewer.dims.set_current_step(0, 4)
    session.run_actions.add_boxes()
    boxes = session.layers.boxes(session.state.image)
    boxes.add_rectangles(np.array([[4, 3, 4], [4, 3, 11], [4, 9, 11], [4, 9, 4]], float))


def draw_and_run(session, finish):
    draw(session)
    session.run_actions.segment_slice()
    finish()


def test_a_list_opens_its_first_case(worklist, session, viewer, cases):
    assert worklist.state.title == "mine.txt"
    assert [row.case for row in worklist.state.rows] == list(cases)
    assert [type(layer) for layer in viewer.layers] == [Image]
    assert np.array_equal(voxels(session), read_volume(cases[0].source).data)
    assert cases[0].holder().pid == os.getpid()
    assert cases[0].status().standing == "new"
    assert session.state.message == "p1_ct is open."


def test_nothing_of_one_case_is_left_when_the_next_opens(
    worklist, session, viewer, cases, finish, go
):
    """They have the same name, shape and place."""
    draw_and_run(session, finish)
    labels = np.asarray(session.layers.labels(session.state.image).data)
    assert labels.any()
    assert session.state.undoable
    former = session.runs.snapshot()
    go()
    assert [type(layer) for layer in viewer.layers] == [Image, Shapes]
    assert np.array_equal(voxels(session), read_volume(cases[1].source).data)
    assert [s.name for s in session.state.segmentation.segments] == ["liver"]
    assert session.state.undoable == 0
    assert session.runs.snapshot() is not former
    session.undo_actions.undo()
    assert session.layers.labels(session.state.image) is None
    assert np.array_equal(read_labels(cases[0].labels), labels)
    assert not cases[1].has_labels
    assert cases[0].holder() is None


def test_what_was_done_is_there_again(worklist, session, cases, finish, go, viewer):
    draw_and_run(session, finish)
    session.segments.rename(1, "spleen")
    assert cases[0].status().standing == "begun"
    labels = np.array(session.layers.labels(session.state.image).data)
    go()
    go(-1)
    assert np.array_equal(session.layers.labels(session.state.image).data, labels)
    assert [s.name for s in session.state.segmentation.segments] == ["spleen"]
    assert len(session.layers.boxes(session.state.image).data) == 1
    before = cases[0].labels.stat().st_mtime_ns
    go()
    assert cases[0].labels.stat().st_mtime_ns == before  # nothing was changed


def test_looking_is_no_beginning(worklist, session, cases, go):
    go()
    session.segments.reveal(1, False)
    go()
    go(-1)
    assert [case.status().standing for case in cases] == ["new"] * 3
    assert not (cases[0].results / "p1_ct.nii.gz").exists()


def test_done_goes_on_to_what_is_not(worklist, session, cases, finish):
    cases[1].mark("done")
    worklist.mark("done")
    finish()
    assert cases[0].status().standing == "done"
    assert cases[0].case_file.exists()
    assert worklist.state.row.case == cases[1]  # nobody had looked since
    worklist.mark("needs review")
    finish()
    assert worklist.state.row.case == cases[2]
    worklist.mark("done")
    finish()
    assert [case.status().standing for case in cases] == ["done", "needs review", "done"]
    assert session.state.message.startswith("No further case is free")


def test_a_note_is_kept(worklist, cases):
    worklist.note("sees little")
    assert cases[0].status().note == "sees little"
    assert worklist.state.row.status.note == "sees little"


def test_what_cannot_be_saved_is_not_left(worklist, session, cases, finish, full_disk, viewer):
    draw_and_run(session, finish)
    image = session.state.image
    with full_disk(at=10):
        worklist.step(1)
        finish()
    assert session.state.is_problem
    assert "cannot be written" in session.state.message
    assert worklist.state.current == 0
    assert session.state.image is image
    worklist.step(1)
    finish()
    assert worklist.state.current == 1
    assert cases[0].has_labels


def test_a_case_that_cannot_be_read_is_told_and_passed_by(
    worklist, session, cases, finish, go, viewer
):
    cases[1].source.write_bytes(b"no image")
    go()
    assert session.state.is_problem
    assert "p2" in session.state.message
    assert worklist.state.current == 0
    assert cases[1].holder() is None
    assert np.array_equal(voxels(session), read_volume(cases[0].source).data)
    go()
    assert worklist.state.current == 2
    with pytest.raises(MedSAMLiteError, match="There is no further case"):
        worklist.step(1)


def test_what_a_colleague_has_is_told_and_not_saved(worklist, session, cases, finish, go):
    claim = cases[1].claim()
    assert isinstance(claim, Claim)
    go()
    assert worklist.state.current == 1
    assert "has this case since" in session.state.message
    assert "not saved on the way" in session.state.message
    draw_and_run(session, finish)
    with pytest.raises(MedSAMLiteError, match="not saved on the way"):
        worklist.mark("done")
    go()
    assert worklist.state.current == 2
    assert not cases[1].has_labels
    assert cases[1].status().standing == "new"
    claim.release()
    go(-1)
    assert worklist.state.colleague == ""


def test_only_the_image_of_the_case_is_saved(worklist, session, cases, finish, go, viewer):
    draw_and_run(session, finish)
    labels = np.array(session.layers.labels(session.state.image).data)
    other = viewer.add_image(np.zeros((3, 4, 5), np.uint8), name="other")
    session.state.image = other
    go()
    assert np.array_equal(read_labels(cases[0].labels), labels)
    assert other in viewer.layers
    assert session.state.image is not other


def test_a_case_whose_image_was_removed_is_not_saved(worklist, session, cases, finish, go, viewer):
    draw_and_run(session, finish)
    viewer.layers.clear()
    go()
    assert worklist.state.current == 1
    assert not cases[0].has_labels


def test_first_answers_are_shown(worklist, session, cases, go):
    labels = np.zeros(SHAPE, np.uint8)
    labels[3, 4:8, 5:9] = 1
    cases[1].results.mkdir(exist_ok=True)
    write_labels(cases[1].labels, labels, read_volume(cases[1].source))
    go()
    assert worklist.state.row.answered
    assert np.array_equal(session.layers.labels(session.state.image).data, labels)
    assert session.layers.boxes(session.state.image) is not None
    worklist.mark("done")


def test_after_first_answers_nothing_is_encoded(
    open_session, folder, cases, finish_of, monkeypatch
):
    """With the real network: what the command kept is all that a run in the dock needs."""
    _predictor.cache_clear()  # that of another test has another folder
    encoded = []
    encode = TorchBackend.encode_images
    monkeypatch.setattr(
        TorchBackend,
        "encode_images",
        lambda self, frames: (encoded.append(len(frames)), encode(self, frames))[1],
    )
    settings = Settings(preset="sdpa", device="cpu")
    assert FirstAnswers(Job(settings))(cases[1]).report["outcome"] == "done"
    assert sum(encoded) > 0
    first = read_labels(cases[1].labels)
    encoded.clear()
    session = open_session(SessionEngine())
    session.state.preset, session.state.device = "sdpa", "cpu"
    session.state.read_ahead = False  # which goes on to slices that nobody asked for
    session.worklist.open(folder / "mine.txt")
    finish_of(session)
    session.worklist.go_to(1)
    finish_of(session)
    session.run_actions.segment_all()
    finish_of(session)
    labels = session.layers.labels(session.state.image).data
    assert labels.any()
    assert np.array_equal(labels, first)
    assert encoded == []


def test_no_run_is_interrupted(worklist, session, segmenter, qtbot, finish):
    segmenter.gate = threading.Semaphore(0)
    draw(session)
    session.run_actions.segment_slice()
    with pytest.raises(MedSAMLiteError):
        worklist.step(1)
    segmenter.gate.release(1000)
    finish()


def test_the_next_case_is_read_and_asked_ahead(worklist, session, segmenter, qtbot, go, cases):
    session.state.read_ahead = True
    qtbot.waitUntil(lambda: session.state.ahead == "The next case: 4 masks are prepared.")
    (prepared,) = segmenter.prepared
    assert np.array_equal(prepared.volume.data, read_volume(cases[1].source).data)
    cases[1].source.unlink()  # it is in memory
    go()
    assert worklist.state.current == 1
    assert np.array_equal(voxels(session), prepared.volume.data)


def do_unheard(session):
    """Let the worker do all that it has, while the main thread hears nothing of it."""
    done = threading.Event()
    session.runner.errand(Errand(done.set, lambda _: None, lambda _: None))
    assert done.wait(30)


def test_a_dock_that_closes_as_a_case_opens_leaves_no_claim(worklist, session, cases, go):
    worklist.step(1)
    do_unheard(session)
    assert cases[1].holder() is not None
    session.close()
    assert [case.holder() for case in cases] == [None] * 3
    session.open()
    assert cases[1].holder() is not None
    go()
    assert worklist.state.current == 2


def test_a_dock_that_closes_as_a_case_is_saved_opens_no_other(worklist, session, cases, go):
    worklist.mark("done")
    do_unheard(session)
    session.close()
    assert cases[0].status().standing == "done"
    assert worklist.state.current == 0
    assert not session.state.busy
    assert [case.holder() for case in cases] == [None] * 3
    session.open()
    go()
    assert worklist.state.current == 1


def test_a_case_that_is_opened_too_late_leaves_no_claim(cases):
    """The worker hands it on in the moment in which the job is cancelled."""
    task = OpenTask(cases[0], None, SessionState(), lambda _: None, lambda: None)
    work = task.work()
    next(work)
    assert cases[0].holder() is not None
    task.interrupt()
    assert cases[0].holder() is None
    assert list(work) == []


def test_a_dock_that_is_opened_again_goes_on(worklist, session, cases, finish, go, viewer):
    session.close()
    assert cases[0].holder() is None
    session.open()
    assert cases[0].holder() is not None
    draw_and_run(session, finish)
    go()
    assert cases[0].has_labels
    assert [type(layer) for layer in viewer.layers] == [Image, Shapes]


@pytest.mark.parametrize("how", ["has it", "changed it"])
def test_a_dock_that_is_opened_again_is_told_of_others(worklist, session, cases, how):
    session.close()
    claim = cases[0].claim()
    if how == "changed it":
        cases[0].mark("done")
        claim.release()
    session.open()
    with pytest.raises(MedSAMLiteError, match="opened by others since"):
        worklist.mark("done")
    claim.release()


def test_all_see_what_others_do(worklist, qtbot, cases, monkeypatch):
    monkeypatch.setattr(case_ahead, "LOOK_S", 0.0)
    cases[2].mark("needs review", "which side?")
    qtbot.waitUntil(lambda: worklist.state.rows[2].status.note == "which side?")
