import numpy as np
from tests.gui.session.acting import (
    BOX,
    OTHER,
    labels_of,
    segmented,
    start_and_hold,
    told_problem,
)


def test_undo_takes_run_after_run_back(session, image, viewer, draw, finish):
    draw(BOX)
    viewer.dims.set_current_step(0, 4)
    session.run_actions.segment_slice()
    finish()
    session.run_actions.segment_all()
    finish()
    data = labels_of(viewer).data
    assert session.state.undoable == 3
    session.undo_actions.undo()
    assert [z for z in range(8) if data[z].any()] == [4]
    session.undo_actions.undo()
    assert not data.any()
    assert session.state.undoable == 1
    session.undo_actions.undo()
    assert session.layers.boxes(image).nshapes == session.state.undoable == 0
    session.undo_actions.undo()
    assert not session.state.is_problem


def test_undo_waits_for_the_end_of_a_run(session, image, viewer, draw, segmenter, qtbot, finish):
    draw(BOX)
    start_and_hold(session, segmenter, qtbot, 2)
    for go in (session.undo_actions.undo, session.undo_actions.redo):
        go()
        told_problem(session, "A run is in progress")
    segmenter.gate.release(100)
    finish()
    session.undo_actions.undo()
    assert not labels_of(viewer).data.any()


def test_redo(session, image, viewer, draw, finish):
    draw(BOX)
    session.run_actions.segment_all()
    finish()
    done = labels_of(viewer).data.copy()
    session.undo_actions.undo()
    assert (session.state.undoable, session.state.redoable) == (1, 1)
    session.undo_actions.redo()
    assert (session.state.undoable, session.state.redoable) == (2, 0)
    np.testing.assert_array_equal(labels_of(viewer).data, done)


def test_after_undo_a_shorter_run_leaves_what_was_painted_by_hand(
    session, image, viewer, draw, finish, segmenter
):
    draw(BOX)
    session.run_actions.segment_all()
    finish()
    session.undo_actions.undo()
    labels = labels_of(viewer)
    labels.data[7, 0, 0] = 1
    segmenter.ends = 5
    session.run_actions.segment_all()
    finish()
    assert labels.data[7, 0, 0] == 1


def test_undo_leaves_an_array_alone_that_was_put_in_place_of_the_labels(
    session, image, viewer, draw, finish
):
    labels = segmented(session, image, viewer, draw, finish)
    labels.data = np.ones_like(labels.data)
    assert session.state.undoable == 0, "what was done to the old array is gone with it"
    session.undo_actions.undo()
    assert (labels.data == 1).all()
    session.run_actions.segment_all()
    finish()
    session.undo_actions.undo()
    assert (labels.data == 1).all()


def test_many_labels_widen_the_layer_and_undo_goes_on(session, image, viewer, draw, finish):
    shapes = draw(BOX)
    session.run_actions.segment_all()
    finish()
    draw(OTHER)
    shapes.features = {"label": [1, 300]}
    session.run_actions.segment_all()
    finish()
    labels = labels_of(viewer)
    assert labels.data.dtype == np.uint16
    assert set(np.unique(labels.data)) == {0, 1, 300}
    while session.state.undoable:
        session.undo_actions.undo()
    assert not labels.data.any()
