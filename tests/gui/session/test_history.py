"""Runs are kept off the main thread, and come back in another session."""

import shutil
import threading
from dataclasses import replace
from io import BytesIO

import imageio.v3 as iio
import numpy as np
import pytest

from napari_medsam_lite.core.boxes import Box2D
from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.gui.thread.worker import THREAD_NAME
from napari_medsam_lite.gui.viewer.image_layers import fingerprint_of_image
from napari_medsam_lite.io.history import History
from napari_medsam_lite.io.runfile import load_run

BOX = Box2D(2, 3, 12, 16)


@pytest.fixture
def run(session, image, viewer, draw, finish):
    """Segment slice 4 and wait for the end; returns the run."""

    def run(segment=session.run_actions.segment_slice):
        viewer.dims.set_current_step(0, 4)
        if session.layers.boxes(image) is None:
            draw(BOX)
            session.segments.rename(1, "liver")
        segment()
        finish()
        return session.state.history[0]

    return run


@pytest.fixture
def kept(qtbot):
    """Wait until so many runs are kept; returns them."""

    def kept(count):
        qtbot.waitUntil(lambda: len(History().entries()) == count)
        return History().entries()

    return kept


def test_a_run_is_kept_with_its_picture(run, kept, image):
    shown = run()
    (stored,) = kept(1)
    assert stored == replace(shown, record=None)
    assert (stored.image, stored.segments, stored.kind) == ("CT", ("liver",), "slice")
    assert (stored.axis, stored.index, stored.number) == (0, 4, 1)
    assert stored.fingerprint == fingerprint_of_image(image)
    assert stored.score == stored.worst == 0.9
    picture = iio.imread(BytesIO(History().picture(stored.id)))
    assert picture.shape[1] == 320
    assert (picture[..., 0] != picture[..., 2]).any(), "mask and box"
    assert History().get(stored.id).record == shown.record


def test_files_are_touched_on_the_worker_alone(run, kept, session, monkeypatch, qtbot):
    threads = set()
    for name in ("add", "entries", "picture", "get", "delete", "restore", "purge"):
        act = getattr(History, name)

        def watched(*args, act=act):
            threads.add(threading.current_thread().name)
            return act(*args)

        monkeypatch.setattr(History, name, watched)
    entry = run()
    session.history.look()
    session.history.look_at(entry.id)
    session.history.whole(replace(entry, record=None), lambda whole: None)
    session.history.delete([entry.id])
    session.history.restore()
    qtbot.waitUntil(lambda: session.state.run_picture != b"")
    assert threads == {THREAD_NAME}


def test_a_later_session_shows_it(run, kept, session, open_session, qtbot):
    earlier = run()
    kept(1)
    session.close()
    later = open_session()
    assert later.state.history == ()
    later.history.look()
    qtbot.waitUntil(lambda: later.state.history == (replace(earlier, record=None),))
    run_of_later, found = later.state.history[0], []
    later.history.whole(run_of_later, found.append)
    qtbot.waitUntil(lambda: found == [earlier])


def test_looking_again_shows_each_run_once(run, kept, session, qtbot):
    first, second = run(), run()
    other = replace(first, id="other", record=None)
    History().add(other)
    kept(3)
    session.history.look()
    qtbot.waitUntil(lambda: len(session.state.history) == 3)
    assert {each.id for each in session.state.history} == {first.id, second.id, "other"}
    assert session.state.history[-1].record is not None, "of this session all is known"


def test_a_run_that_never_began_is_kept_too(run, kept, session):
    session.state.device = "cuda"
    assert run().record is None
    (stored,) = kept(1)
    assert (stored.ending, stored.device) == ("failed", "cuda")
    assert History().picture(stored.id) == b""


def test_deleted_runs_come_back_until_the_session_closes(run, kept, session, qtbot):
    runs = [run() for _ in range(3)]
    kept(3)
    session.history.delete([runs[0].id, runs[2].id])
    assert [each.id for each in session.state.history] == [runs[1].id]
    assert session.state.deleted == 2
    kept(1)
    session.history.look()  # which leaves what can come back
    kept(1)
    session.history.restore()
    qtbot.waitUntil(lambda: len(session.state.history) == 3)
    assert [each.id for each in session.state.history] == [each.id for each in runs[::-1]]
    assert session.state.deleted == 0
    kept(3)
    session.history.delete([runs[1].id])
    session.close()
    kept(2)
    qtbot.waitUntil(lambda: not left_in_file(runs[1].id))
    History().restore([runs[1].id])
    assert len(History().entries()) == 2


def left_in_file(id):
    return id.encode() in History().file.read_bytes()


def test_a_run_goes_on_where_nothing_can_be_kept(run, session, own_state, qtbot):
    history = own_state / "history"
    if history.is_dir():
        shutil.rmtree(history)
    own_state.mkdir(parents=True, exist_ok=True)
    history.write_text("in the way of the folder")
    assert run().ending == "finished"
    qtbot.waitUntil(lambda: "The history" in session.state.message)
    session.state.tell("")
    assert run().ending == "finished"
    assert len(session.state.history) == 2
    assert session.state.message.startswith("Done"), "it is told once"


def test_what_was_damaged_is_told(run, session, kept, qtbot):
    run()
    kept(1)
    History().file.write_bytes(b"no database" * 500)
    session.history.look()
    qtbot.waitUntil(lambda: "begun anew" in session.state.message)
    assert len(session.state.history) == 1, "what this session knows stays"


def test_a_run_that_is_cut_off_by_closing_is_kept(session, image, viewer, draw, segmenter, kept):
    draw(BOX)
    viewer.dims.set_current_step(0, 4)
    segmenter.gate = threading.Semaphore(0)
    session.run_actions.segment_volume()
    session.close()
    segmenter.gate.release(100)
    assert kept(1)[0].ending == "cancelled"


def test_go_to_shows_slice_and_segment(run, session, viewer, image, draw):
    entry = run()
    session.segments.begin()
    other = viewer.add_image(np.zeros((5, 6, 7)), name="CT")
    session.state.image = other
    viewer.dims.set_current_step(0, 0)
    viewer.dims.order = (2, 0, 1)
    session.past_runs.go_to(entry)
    assert session.state.image == image
    assert session.state.segmentation.current == 1
    assert viewer.dims.order[0] == 0
    assert viewer.dims.point[0] == image.data_to_world((4, 0, 0))[0]


def test_an_image_is_known_by_its_voxels_alone(run, session, viewer, image):
    entry = run()
    image.name = "renamed"
    session.past_runs.go_to(entry)
    viewer.layers.remove(image)
    viewer.add_image(np.zeros((8, 20, 30), np.int16), name="CT", scale=(3, 0.8, 0.8))
    for act in (session.past_runs.go_to, session.past_runs.run_again):
        with pytest.raises(MedSAMLiteError, match="not open: CT"):
            act(entry)


def test_a_run_is_done_again(run, session, viewer, finish, segmenter):
    session.state.overlap = "keep"
    entry = run(session.run_actions.segment_volume)
    labels = viewer.layers["CT labels"]
    before = labels.data.copy()
    session.undo_actions.undo()
    viewer.layers["CT boxes"].selected_data = {0}
    viewer.layers["CT boxes"].remove_selected()
    session.state.overlap, session.state.preset = "logit", "eager"
    session.past_runs.run_again(entry)
    finish()
    np.testing.assert_array_equal(labels.data, before)
    again = session.state.history[0]
    assert again.id != entry.id
    assert again.record.settings == entry.record.settings
    assert again.record.boxes == entry.record.boxes


def test_a_run_of_an_earlier_session_is_done_again_with_its_segments(
    run, session, open_session, viewer, image, finish, kept, qtbot
):
    entry = run()
    kept(1)
    session.close()
    for name in ("CT labels", "CT boxes"):
        viewer.layers.remove(name)
    later = open_session()
    later.history.look()
    qtbot.waitUntil(lambda: len(later.state.history) == 1)
    # The engine of the tests has no official weights; those of this session's runs will do.
    later.history._all[0] = entry
    later.history._show()
    later.past_runs.run_again(later.state.history[0])
    qtbot.waitUntil(lambda: len(later.state.history) == 2)
    assert [s.name for s in later.state.segmentation.segments] == ["liver"]
    assert viewer.layers["CT labels"].data.any()


def test_other_weights_are_told(run, session):
    entry = run()
    other = replace(entry, record=replace(entry.record, checkpoint_sha256="1" * 64))
    session.past_runs.run_again(other)
    assert "made with other weights" in session.state.message
    assert session.state.is_problem


def test_saving_a_run(run, session, tmp_path):
    entry = run()
    session.past_runs.save_run(entry, tmp_path / "run.json")
    assert load_run(tmp_path / "run.json") == entry.record
    session.past_runs.save_run(entry, tmp_path / "none" / "run.json")
    assert "its folder does not exist" in session.state.message


@pytest.mark.parametrize("what", ["slice", "key slices", "montage"])
def test_saving_a_picture_of_a_run(run, session, tmp_path, what, qtbot, finish):
    entry, path = run(), tmp_path / "a.png"
    session.past_runs.save_picture(entry, path, what)
    qtbot.waitUntil(path.exists)
    finish()
    qtbot.waitUntil(lambda: session.state.message == "The picture was saved as a.png.")
    assert iio.imread(path).shape[0] > 100


def test_a_picture_that_cannot_be_written_is_told(run, session, tmp_path, qtbot):
    entry = run()
    session.past_runs.save_picture(entry, tmp_path / "none" / "a.png", "slice")
    qtbot.waitUntil(lambda: "its folder does not exist" in session.state.message)


def test_many_slices_need_the_image(run, session, viewer, image, tmp_path, qtbot):
    entry, path = run(), tmp_path / "a.png"
    viewer.layers.remove(image)
    with pytest.raises(MedSAMLiteError, match="not open"):
        session.past_runs.save_picture(entry, path, "montage")
    session.past_runs.save_picture(entry, path, "slice")
    qtbot.waitUntil(path.exists)
