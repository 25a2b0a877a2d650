"""Rough masks while a box moves, and until the right ones are there."""

import threading

import numpy as np
import pytest

from napari_medsam_lite.core.boxes import Box2D
from napari_medsam_lite.io.formats import read_label_volume

BOX = Box2D(2, 3, 9, 10)


class Mouse:
    """Moves the only box as napari does: the layer changes, and its end is told once."""

    def __init__(self, session, shapes, qtbot):
        self._desk, self._shapes, self._qtbot = session.desks.chosen(), shapes, qtbot
        self._session = session

    def move(self, by):
        corners = np.array(self._shapes.data[0])
        corners[:, -2:] += by
        self._shapes._data_view.edit(0, corners)
        self._desk._follow_move()

    def wait(self):
        self._qtbot.waitUntil(lambda: not self._session.runs.live.waits)

    def release(self):
        self._shapes.events.data(value=self._shapes.data, action="changed")
        self.wait()


@pytest.fixture
def mouse(session, draw, live, segmenter, qtbot):
    """With a box that was answered, and looks in memory for what follows."""
    shapes = draw(BOX)
    live()
    segmenter.has_looks = True
    segmenter.live.clear()
    return Mouse(session, shapes, qtbot)


def mask(session):
    return np.argwhere(session.desks.chosen().labels.data[4] == 1)


def corners(session):
    found = mask(session)
    return (*found.min(0).tolist(), *found.max(0).tolist())


def test_a_box_that_moves_is_answered_roughly_and_as_it_is_let_go_rightly(
    session, mouse, segmenter
):
    before, count = mask(session), session.state.undoable
    for _ in range(2):
        mouse.move(2)
        mouse.wait()
    assert segmenter.live == []
    assert corners(session) == (7, 8, 12, 13)
    (_, told) = session.state.sizes[1]
    mouse.release()
    assert [index for index, _ in segmenter.live] == [4]
    assert corners(session) == (6, 7, 13, 14)
    assert session.state.undoable == count + 1
    session.undo_actions.undo()
    np.testing.assert_array_equal(mask(session), before)
    assert session.state.sizes[1][1] == told, "what is rough is not counted"


def test_one_that_is_moved_back_has_its_own_mask_again(session, mouse):
    before = mask(session)
    mouse.move(2)
    mouse.wait()
    mouse.move(-2)
    mouse.release()
    np.testing.assert_array_equal(mask(session), before)


def test_nothing_rough_is_left_where_the_answer_is_dropped(session, mouse, segmenter, qtbot):
    before = mask(session)
    mouse.move(3)
    mouse.wait()
    assert len(mask(session)) != len(before) or (mask(session) != before).any()
    session.runs.live.stop()
    np.testing.assert_array_equal(mask(session), before)
    segmenter.gate = threading.Semaphore(0)
    mouse.move(1)
    mouse._shapes.events.data(value=mouse._shapes.data, action="changed")
    qtbot.waitUntil(lambda: corners(session) == (7, 8, 12, 13))
    session.runs.live.stop()
    segmenter.gate.release(10)
    np.testing.assert_array_equal(mask(session), before)


def test_where_the_right_answer_fails_the_rough_one_goes(session, mouse, segmenter, monkeypatch):
    before = mask(session)

    def fails(*_):
        raise RuntimeError("broken")
        yield

    monkeypatch.setattr(segmenter, "segment_slice", fails)
    mouse.move(2)
    mouse.release()
    assert "broken" in session.state.message
    np.testing.assert_array_equal(mask(session), before)


def test_what_a_person_paints_meanwhile_stays(session, mouse):
    mouse.move(2)
    mouse.wait()
    labels = session.desks.chosen().labels
    labels.brush_size = 1
    labels.paint((4, 18, 28), 1)
    mouse.release()
    assert labels.data[4, 18, 28] == 1
    assert corners(session) == (4, 5, 18, 28)


def test_nothing_rough_is_saved(session, mouse, qtbot, tmp_path):
    before = session.desks.chosen().labels.data.copy()
    mouse.move(2)
    mouse.wait()
    session.saving.save(tmp_path / "labels.nii.gz")
    qtbot.waitUntil(lambda: not session.state.busy)
    np.testing.assert_array_equal(read_label_volume(tmp_path / "labels.nii.gz").data, before)
