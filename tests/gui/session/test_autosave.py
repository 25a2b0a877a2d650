"""What is done in one session is offered to the next, whatever became of the first."""

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_medsam_lite.core.boxes import Box2D
from napari_medsam_lite.gui.session import autosave, kept_desk
from napari_medsam_lite.gui.session.controller import SessionController
from napari_medsam_lite.gui.session.engine import SessionEngine
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.gui.thread.filer import Filer
from napari_medsam_lite.gui.thread.runner import JobRunner
from napari_medsam_lite.gui.viewer.drawn_boxes import rectangle
from napari_medsam_lite.gui.viewer.geometry import Plane
from napari_medsam_lite.io.autosaved import JOURNAL
from napari_medsam_lite.io.case_json import case_from_json
from napari_medsam_lite.io.journal import read

LIVER, SPLEEN = Box2D(2, 3, 12, 14), Box2D(4, 16, 9, 25)


class Window:
    """A window as another process has it: nothing is shared but the disk."""

    def __init__(self, qtbot, segmenter, data):
        self.qtbot, self.viewer = qtbot, ViewerModel()
        self.image = self.viewer.add_image(data, name="CT", scale=(3, 0.8, 0.8)[-data.ndim :])
        engine = SessionEngine(lambda: segmenter)
        self.session = SessionController(self.viewer, SessionState(live=False), engine, JobRunner())
        self.session.autosave._filer = Filer()
        self.state = self.session.state
        self.session.open()
        self.settle()

    def settle(self):
        """Until all is on the disk."""
        saver = self.session.autosave
        saver._look_after()

        def quiet():
            saver._look_after()
            kept = saver._kept.values()
            return all(k._is_open and not k._jobs and not k.changes._dirty for k in kept)

        self.qtbot.waitUntil(quiet)
        saver._filer._last.result()

    def look_round(self):
        """As after a minute."""
        for kept in self.session.autosave._kept.values():
            kept._looked = float("-inf")
        self.settle()

    def draw(self, *boxes, index=4):
        shapes = self.session.layers.boxes_made(self.image)
        for box in boxes:
            if len(shapes.data):
                self.session.segments.begin()
            shapes.add_rectangles(rectangle(box, Plane(0, index), shapes.ndim))

    def segment(self):
        self.session.run_actions.segment_all()
        self.qtbot.waitUntil(lambda: not self.state.busy)

    def paint(self, place, number=2):
        labels = self.labels_layer
        labels.brush_size = 1
        labels.paint(place, number)
        self.qtbot.wait(1)

    @property
    def labels_layer(self):
        return self.session.layers.labels(self.image)

    @property
    def labels(self):
        return self.labels_layer.data.copy()

    @property
    def boxes(self):
        return self.session.layers.boxes(self.image)

    def kill(self):
        """As kill -9 leaves it: nothing more is written, and its claims are stale."""
        saver = self.session.autosave
        for kept in saver._kept.values():
            kept._opening.result().place.claim.release()
        saver._kept.clear()
        self.session.close()

    def close(self):
        self.session.close()
        self.session.autosave._filer._last.result()

    def restore(self):
        self.session.undo_actions.restore()
        self.qtbot.waitUntil(lambda: self.session.autosave._reading is None)
        self.settle()


@pytest.fixture
def ct():
    return np.random.default_rng(0).integers(-1000, 1000, (8, 20, 30), np.int16)


@pytest.fixture
def open_window(qtbot, segmenter, ct, monkeypatch):
    monkeypatch.setattr(autosave, "TICK_MS", 20)
    opened = []

    def open_window(data=ct):
        opened.append(Window(qtbot, segmenter, data))
        return opened[-1]

    yield open_window
    for window in opened:
        window.close()


def journals(own_state):
    return sorted(own_state.glob(f"autosave/*/*/{JOURNAL}"))


def kept(own_state):
    (journal,) = journals(own_state)
    return read(journal)


def test_to_look_at_an_image_leaves_nothing_behind(open_window, own_state):
    window = open_window()
    window.settle()
    assert window.state.unsaved == window.state.elsewhere == ""
    assert journals(own_state) == []
    window.close()
    assert list((own_state / "autosave").iterdir()) == []


def test_all_comes_back_after_a_kill(open_window):
    first = open_window()
    first.draw(LIVER, SPLEEN)
    first.session.segments.rename(1, "liver")
    first.segment()
    first.session.segments.lock(2, True)
    first.paint((3, 17, 28), 1)
    first.settle()
    labels, segments = first.labels, first.state.segmentation
    held = first.session.desks.chosen().masks.brush.held.copy()
    first.kill()

    second = open_window()
    assert "2 segments" in second.state.unsaved
    assert "replaces" not in second.state.unsaved
    second.restore()
    np.testing.assert_array_equal(second.labels, labels)
    assert second.state.segmentation == segments
    assert len(second.boxes.data) == 2
    np.testing.assert_array_equal(second.session.desks.chosen().masks.brush.held, held)
    assert second.state.unsaved == ""
    assert "2 segments" in second.state.message


def test_what_is_restored_is_kept_again_and_undone_at_once(open_window, own_state):
    first = open_window()
    first.draw(LIVER)
    first.segment()
    first.settle()
    labels = first.labels
    first.kill()
    second = open_window()
    second.restore()
    np.testing.assert_array_equal(kept(own_state).labels(), labels)
    second.session.undo_actions.undo()
    assert not second.labels.any()
    assert len(second.boxes.data) == 0
    assert second.state.segmentation.segments == ()
    second.session.undo_actions.redo()
    np.testing.assert_array_equal(second.labels, labels)
    second.kill()
    third = open_window()
    third.restore()
    np.testing.assert_array_equal(third.labels, labels)


def test_a_window_that_is_closed_leaves_its_last_change(open_window):
    first = open_window()
    first.draw(LIVER)
    first.segment()
    first.paint((0, 17, 28), 1)
    labels = first.labels
    first.close()
    second = open_window()
    second.restore()
    np.testing.assert_array_equal(second.labels, labels)


def test_boxes_and_names_alone_are_work_too(open_window):
    first = open_window()
    first.draw(LIVER)
    first.session.segments.rename(1, "liver")
    first.close()
    second = open_window()
    second.restore()
    assert second.state.segmentation.get(1).name == "liver"
    assert len(second.boxes.data) == 1
    assert not second.labels.any()


def test_a_segment_that_is_only_begun_is_no_work(open_window, own_state):
    window = open_window()
    window.session.run_actions.add_boxes()
    window.settle()
    assert journals(own_state) == []


def test_another_image_of_the_same_name_is_offered_nothing(open_window, ct):
    first = open_window()
    first.draw(LIVER)
    first.close()
    assert open_window(ct + 1).state.unsaved == ""


def test_work_that_is_found_to_be_there_is_not_restored_over_it(open_window):
    window = open_window()
    window.draw(LIVER)
    window.segment()
    window.settle()
    window.kill()
    again = open_window()
    again.session.undo_actions.restore()
    (kept,) = again.session.autosave._kept.values()
    kept._on_compared(kept.left[0], True)
    again.qtbot.waitUntil(lambda: again.session.autosave._reading is None)
    assert again.state.message == "What was unsaved is there already."
    assert not again.state.undoable


def test_discarded_work_is_offered_no_more(open_window, own_state):
    first = open_window()
    first.draw(LIVER)
    first.close()
    second = open_window()
    second.session.undo_actions.discard()
    second.settle()
    assert second.state.unsaved == ""
    assert journals(own_state) == []
    second.session.undo_actions.discard()
    assert "no unsaved work" in second.state.message


def test_restoring_over_other_work_is_told_and_undone(open_window):
    first = open_window()
    first.draw(LIVER)
    first.segment()
    restored = first.labels
    first.close()
    second = open_window()
    second.draw(SPLEEN)
    second.segment()
    second.settle()
    assert "replaces what is here" in second.state.unsaved
    here = second.labels
    second.restore()
    np.testing.assert_array_equal(second.labels, restored)
    second.session.undo_actions.undo()
    np.testing.assert_array_equal(second.labels, here)
    assert second.state.segmentation.get(1) is not None


def test_two_windows_on_one_image_are_told_and_kept_apart(open_window, own_state):
    first, second = open_window(), open_window()
    assert "process" in second.state.elsewhere
    first.look_round()
    assert "process" in first.state.elsewhere
    first.draw(LIVER)
    second.draw(SPLEEN)
    for window in (first, second):
        window.segment()
        window.settle()
    assert len(journals(own_state)) == 2
    seconds = second.labels
    first.close()
    second.look_round()
    assert second.state.elsewhere == ""
    second.close()
    third = open_window()
    third.restore()
    np.testing.assert_array_equal(third.labels, seconds)
    assert "1 segment" in third.state.unsaved


def test_what_is_saved_is_kept_no_more(open_window, own_state, tmp_path):
    window = open_window()
    window.draw(LIVER)
    window.segment()
    window.settle()
    assert len(journals(own_state)) == 1
    window.session.saving.save(tmp_path / "labels.nii.gz")
    window.qtbot.waitUntil(lambda: not window.state.busy)
    window.settle()
    assert journals(own_state) == []
    window.paint((0, 17, 28), 1)
    window.settle()
    np.testing.assert_array_equal(kept(own_state).labels(), window.labels)


def test_what_is_done_while_it_is_saved_is_kept(open_window, own_state, tmp_path):
    window = open_window()
    window.draw(LIVER)
    window.segment()
    window.session.saving.save(tmp_path / "labels.nii.gz")
    window.paint((0, 17, 28), 1)
    window.qtbot.waitUntil(lambda: not window.state.busy)
    window.settle()
    np.testing.assert_array_equal(kept(own_state).labels(), window.labels)


def test_a_save_that_failed_keeps_all(open_window, own_state, tmp_path):
    window = open_window()
    window.draw(LIVER)
    window.segment()
    window.settle()
    window.session.saving.save(tmp_path / "missing" / "labels.nii.gz")
    window.qtbot.waitUntil(lambda: not window.state.busy)
    window.settle()
    assert len(journals(own_state)) == 1


def test_a_run_is_kept_while_it_paints(open_window, own_state, segmenter):
    window = open_window()
    window.draw(LIVER)
    segmenter.gate = type(segmenter.gate)(3)
    window.session.run_actions.segment_volume()
    window.qtbot.waitUntil(lambda: window.labels_layer.data.any(axis=(1, 2)).sum() == 3)
    window.settle()
    found = kept(own_state)
    case = case_from_json(found.case, "")
    np.testing.assert_array_equal(found.labels(), window.labels)
    (asked,) = case.segmentation.asked
    assert asked.kind == "volume"
    assert {index for _, index in asked.only} == {*np.flatnonzero(window.labels.any(axis=(1, 2)))}
    assert {index for _, index in case.segmentation.get(1).records} == {
        index for _, index in asked.only
    }
    assert window.session.desks.chosen().segmentation.asked == ()
    segmenter.gate.release(100)
    window.qtbot.waitUntil(lambda: not window.state.busy)
    window.settle()
    (asked,) = case_from_json(kept(own_state).case, "").segmentation.asked
    assert asked.only is None


def test_a_stroke_is_kept_while_it_is_drawn(open_window, own_state):
    window = open_window()
    window.draw(LIVER)
    window.segment()
    layer = window.labels_layer
    with layer.block_history():  # as napari does from the press to the release
        layer.paint((0, 17, 28), 1)
        window.qtbot.waitUntil(lambda: kept(own_state).labels()[0, 17, 28] == 1)


def test_labels_that_are_replaced_are_kept_as_they_are_then(open_window, own_state):
    window = open_window()
    window.draw(LIVER)
    window.segment()
    window.settle()
    others = np.zeros_like(window.labels)
    others[2, 2, 2] = 1
    window.labels_layer.data = others
    window.settle()
    np.testing.assert_array_equal(kept(own_state).labels(), others)


@pytest.mark.parametrize("shape", [(20, 30), (2, 3, 20, 30)])
def test_flat_images_and_films(open_window, shape):
    data = np.random.default_rng(1).integers(0, 1000, shape, np.int16)
    first = open_window(data)
    first.session.run_actions.add_boxes()
    place = tuple(size - 3 for size in shape)
    first.paint(place, 1)
    labels = first.labels
    first.close()
    second = open_window(data)
    second.restore()
    np.testing.assert_array_equal(second.labels, labels)
    assert labels[place] == 1


def test_turned_off_nothing_is_kept_and_on_again_all_is(open_window, own_state):
    window = open_window()
    window.draw(LIVER)
    window.segment()
    window.settle()
    window.state.autosave = False
    window.session.autosave._filer._last.result()
    assert journals(own_state) == []
    window.paint((0, 17, 28), 1)
    window.qtbot.wait(60)
    assert journals(own_state) == []
    window.state.autosave = True
    window.paint((1, 17, 28), 1)
    window.settle()
    np.testing.assert_array_equal(kept(own_state).labels(), window.labels)


def test_where_it_cannot_be_kept_it_is_told_once_and_tried_again(
    open_window, own_state, monkeypatch
):
    monkeypatch.setattr(kept_desk, "RETRY_S", 0.05)
    window = open_window()
    window.draw(LIVER)
    own_state.joinpath("autosave").rename(own_state / "away")
    own_state.joinpath("autosave").write_text("in the way")
    told = []
    state = window.state
    state.events.message.connect(lambda text: told.append((text, state.is_problem)))
    window.segment()
    window.qtbot.waitUntil(lambda: any("cannot keep" in text for text, _ in told))
    window.qtbot.wait(300)
    assert [is_problem for text, is_problem in told if "cannot keep" in text] == [True]
    own_state.joinpath("autosave").unlink()
    window.qtbot.waitUntil(lambda: any("kept by autosave again" in text for text, _ in told))
    window.settle()
    np.testing.assert_array_equal(kept(own_state).labels(), window.labels)


def test_a_journal_that_was_removed_is_written_again(open_window, own_state, monkeypatch):
    monkeypatch.setattr(kept_desk, "RETRY_S", 0.05)
    window = open_window()
    window.draw(LIVER)
    window.segment()
    window.settle()
    journals(own_state)[0].unlink()
    window.paint((0, 17, 28), 1)
    window.qtbot.waitUntil(lambda: bool(journals(own_state)))
    window.settle()
    np.testing.assert_array_equal(kept(own_state).labels(), window.labels)


def test_an_image_that_is_removed_lets_go(open_window, own_state):
    window = open_window()
    window.draw(LIVER)
    window.segment()
    window.settle()
    window.viewer.layers.remove(window.image)
    window.settle()
    assert window.session.autosave._kept == {}
    again = open_window()
    assert again.state.elsewhere == ""
    assert "1 segment" in again.state.unsaved


def test_a_window_whose_layers_go_first_leaves_its_last_change(open_window):
    first = open_window()
    first.draw(LIVER)
    first.segment()
    first.paint((0, 17, 28), 1)
    labels = first.labels
    first.viewer.layers.clear()
    first.close()
    second = open_window()
    second.restore()
    np.testing.assert_array_equal(second.labels, labels)
    assert len(second.boxes.data) == 1


def test_layers_that_were_removed_by_mistake_come_back(open_window):
    first = open_window()
    first.draw(LIVER)
    first.segment()
    labels = first.labels
    for layer in (first.boxes, first.labels_layer):
        first.viewer.layers.remove(layer)
        first.settle()
    first.close()
    second = open_window()
    second.restore()
    np.testing.assert_array_equal(second.labels, labels)
    assert len(second.boxes.data) == 1


def test_a_dock_that_is_opened_again_goes_on_with_what_is_there(open_window, own_state):
    window = open_window()
    window.draw(LIVER)
    window.segment()
    window.settle()
    window.session.close()
    window.session.open()
    window.settle()
    assert window.state.unsaved == ""
    np.testing.assert_array_equal(kept(own_state).labels(), window.labels)
    assert len(kept(own_state).case["segments"]) == 1


def test_a_place_that_was_lost_is_taken_anew(open_window, own_state):
    window = open_window()
    window.draw(LIVER)
    window.segment()
    window.settle()
    (keeper,) = window.session.autosave._kept.values()
    keeper._opening.result().place.claim.release()  # as one that went stale in a long sleep
    window.look_round()
    window.settle()
    assert window.state.unsaved == ""
    np.testing.assert_array_equal(kept(own_state).labels(), window.labels)


def test_a_lost_place_with_nothing_done_stays_empty(open_window, own_state):
    window = open_window()
    (keeper,) = window.session.autosave._kept.values()
    keeper._opening.result().place.claim.release()
    window.look_round()
    assert journals(own_state) == []
