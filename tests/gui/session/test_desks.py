"""Locks, strokes and layers that come and go, while work can be taken back."""

import threading

import numpy as np
import pytest

from napari_medsam_lite.core.boxes import Box2D

BOX = Box2D(2, 3, 7, 6)
OTHER = Box2D(10, 3, 15, 8)


def labels_of(viewer):
    return viewer.layers["CT labels"]


def stroke(layer, where, number, qtbot):
    layer.data_setitem(tuple(np.array([part]) for part in where), number)
    qtbot.wait(1)


def test_what_is_painted_or_locked_during_a_run_stays(
    session, image, viewer, draw, segmenter, finish, qtbot
):
    draw(BOX, OTHER)
    segmenter.gate = threading.Semaphore(2)
    session.run_actions.segment_all()
    layer = labels_of(viewer)
    qtbot.waitUntil(lambda: np.count_nonzero(layer.data.any(axis=(1, 2))) == 2)
    stroke(layer, (7, 3, 4), 2, qtbot)
    session.segments.lock(2, True)
    segmenter.gate.release(100)
    finish()
    assert layer.data[7, 3, 4] == 2
    assert (layer.data[7] == 1).sum() == 23
    assert np.count_nonzero(layer.data == 2) == 1


def test_no_segment_is_deleted_in_the_middle_of_a_run(session, image, draw, segmenter, finish):
    draw(BOX)
    segmenter.gate = threading.Semaphore(0)
    session.run_actions.segment_volume()
    session.told(lambda: session.segments.delete(1))
    assert "in progress" in session.state.message
    segmenter.gate.release(100)
    finish()
    assert session.state.segmentation.get(1) is not None


@pytest.mark.parametrize("latest", [False, True])
def test_what_concerns_a_locked_segment_is_not_taken_back(
    session, image, viewer, draw, finish, latest
):
    draw(BOX)
    session.run_actions.segment_volume()
    finish()
    session.segments.lock(1, True)
    before, undoable = labels_of(viewer).data.copy(), session.state.undoable
    (session.undo_actions.undo_latest if latest else session.undo_actions.undo)()
    assert "locked" in session.state.message
    assert session.state.undoable == undoable
    np.testing.assert_array_equal(labels_of(viewer).data, before)
    session.segments.lock(1, False)
    session.undo_actions.undo()
    assert not labels_of(viewer).data.any()


def test_a_stroke_on_what_was_locked_since_is_not_taken_back(
    session, image, viewer, draw, finish, qtbot
):
    draw(BOX)
    session.run_actions.segment_volume()
    finish()
    layer = labels_of(viewer)
    stroke(layer, (4, 19, 29), 1, qtbot)
    session.segments.lock(1, True)
    session.undo_actions.undo_latest()
    assert layer.data[4, 19, 29] == 1


def test_other_labels_in_the_layer_are_seen(session, image, viewer, draw, finish):
    draw(BOX)
    session.run_actions.segment_volume()
    finish()
    layer = labels_of(viewer)
    other = np.zeros_like(layer.data)
    other[3, :2, :5] = 7
    layer.data = other
    assert [s.number for s in session.state.segmentation.segments] == [1, 7]
    assert session.state.sizes[1] == (0, 0.0)
    assert session.state.sizes[7][0] == 1
    assert (session.state.undoable, session.state.redoable) == (0, 0)


def test_a_number_changed_in_the_table_of_features_moves_the_box(session, image, draw):
    shapes = draw(BOX, OTHER)
    shapes.features = {"label": [2, 2]}
    np.testing.assert_allclose(shapes.edge_color[0], shapes.edge_color[1])
    session.undo_actions.undo()
    assert list(shapes.features["label"]) == [1, 2]


def test_a_dock_that_opens_again_knows_what_the_one_before_knew(
    session, image, viewer, draw, finish, open_session
):
    draw(BOX, OTHER)
    session.segments.limit(1, 0, 3, 5)
    session.run_actions.segment_all()
    finish()
    session.segments.lock(1, True)
    labels_of(viewer).paint((4, 1, 1), 2)
    before = session.state.segmentation
    session.close()

    again = open_session()

    assert again.state.segmentation == before
    assert before.get(1).records and before.get(1).locked and before.asked
    assert again.desks.chosen().masks.held(())[4, 1, 1]


def test_layers_of_an_image_that_is_gone_have_napari_s_keys_again(session, image, viewer, draw):
    shapes = draw(BOX)
    labels = session.layers.labels_made(image)
    assert "Ctrl+Z" in map(str, shapes.keymap)
    assert "Ctrl+Z" in map(str, labels.keymap)
    viewer.layers.remove(image)
    assert not shapes.keymap
    assert not labels.keymap


def test_pasted_boxes_are_boxes_at_once(session, image, viewer, draw):
    shapes = draw(BOX)
    shapes.mode = "select"
    shapes.selected_data = {0}
    shapes._copy_data()
    shapes._paste_data()
    assert session.state.undoable == 2
    session.undo_actions.undo()
    assert len(shapes.data) == 1
    session.undo_actions.redo()
    assert list(shapes.features["label"]) == [1, 1]


def test_what_was_taken_back_last_is_done_again_first(session, image, viewer, draw, qtbot):
    shapes = draw(BOX)
    layer = session.layers.labels_made(image)
    stroke(layer, (4, 19, 29), 1, qtbot)
    session.undo_actions.undo()
    session.undo_actions.undo_latest()
    assert layer.data[4, 19, 29] == 0
    session.undo_actions.redo_latest()
    assert layer.data[4, 19, 29] == 1
    assert not shapes.data
    session.undo_actions.redo_latest()
    assert len(shapes.data) == 1
