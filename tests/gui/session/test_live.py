"""What happens to live answers when something else happens in between."""

import threading
import time

import numpy as np
import pytest
from napari.layers import Labels

from napari_medsam_lite.core.boxes import Box2D, Box3D
from napari_medsam_lite.gui.thread.task import Task
from napari_medsam_lite.gui.viewer.drawn_boxes import rectangle
from napari_medsam_lite.gui.viewer.geometry import Plane

BOX = Box2D(2, 3, 7, 6)
OTHER = Box2D(10, 3, 15, 8)


def labels_of(viewer, name="CT labels") -> np.ndarray:
    layer = viewer.layers[name]
    assert isinstance(layer, Labels)
    return layer.data


def segments_of(session):
    return session.state.segmentation.segments


class Waiting(Task):
    """Another dock's job."""

    def __init__(self):
        self.end = threading.Event()

    def work(self):
        yield self.end.wait(10)

    def on_ended(self, ending):
        pass


@pytest.fixture
def film(session, viewer):
    """A film of three volumes, the second one shown."""
    data = np.random.default_rng(0).integers(0, 99, (3, 8, 20, 30), np.int16)
    film = viewer.add_image(data, name="film")
    session.state.image = film
    session.state.live, session.state.read_ahead = True, False
    viewer.dims.set_current_step(0, 1)
    return film


def draw_on_film(session, film, place, index=4, box=BOX):
    shapes = session.layers.boxes_made(film)
    shapes.add_rectangles(rectangle(box, Plane(0, index), 4, (place,)))
    return shapes


def test_a_box_of_a_locked_segment_is_told_and_changes_nothing(session, viewer, draw, live):
    draw(BOX)
    live()
    session.segments.lock(1, True)
    before = labels_of(viewer).copy()
    draw(OTHER, together=True)
    live()
    assert "locked" in session.state.message
    np.testing.assert_array_equal(labels_of(viewer), before)


def test_a_segment_locked_or_deleted_meanwhile_gets_no_mask(
    session, viewer, draw, live, segmenter, qtbot
):
    segmenter.gate = threading.Semaphore(0)
    draw(BOX)
    session.segments.lock(1, True)
    segmenter.gate.release(10)
    live()
    assert not labels_of(viewer).any()
    session.segments.lock(1, False)
    segmenter.gate = threading.Semaphore(0)
    draw(OTHER, together=True)
    session.segments.delete(1)
    segmenter.gate.release(10)
    live()
    assert not labels_of(viewer).any()
    assert segments_of(session) == ()


def test_an_answer_goes_to_the_image_that_it_was_asked_for(
    session, image, viewer, draw, live, segmenter, finish
):
    """Also one that waited for a run of another image, and another image is chosen by then."""
    draw(BOX)
    live()
    segmenter.gate = threading.Semaphore(0)
    session.run_actions.segment_volume()
    other = viewer.add_image(np.zeros((8, 20, 30), np.int16), name="MR", scale=image.scale)
    session.state.image = other
    draw(OTHER)
    session.state.image = image
    before = labels_of(viewer).copy()
    segmenter.gate.release(100)
    finish()
    live()
    assert (labels_of(viewer, "MR labels")[4] == 1).sum() == 36
    assert (labels_of(viewer)[4] == before[4]).all()


def test_a_box_that_waits_is_forgotten_with_its_image(
    session, image, viewer, draw, live, segmenter, finish
):
    draw(BOX)
    live()
    segmenter.gate = threading.Semaphore(0)
    session.run_actions.segment_volume()
    other = viewer.add_image(np.zeros((8, 20, 30), np.int16), name="MR", scale=image.scale)
    session.state.image = other
    draw(OTHER)
    viewer.layers.remove(other)
    segmenter.gate.release(100)
    finish()
    live()
    assert "MR labels" not in viewer.layers
    assert not session.state.is_problem


def test_while_another_dock_computes_the_labels_are_not_touched(session, viewer, draw, live):
    shapes = draw(BOX)
    live()
    before = labels_of(viewer).copy()
    task = Waiting()
    session.runner.start(task)
    shapes.data = [rectangle(OTHER, Plane(0, 4)), rectangle(BOX, Plane(0, 5))]
    assert "in progress" in session.state.message
    task.end.set()
    session.runner.cancel(task)
    np.testing.assert_array_equal(labels_of(viewer), before)


def test_a_box_drawn_just_as_an_answer_ends_is_answered(session, viewer, draw, live, segmenter):
    draw(BOX)
    while not segmenter.live or session.runner._answers.qsize() < 2:
        time.sleep(0.005)  # the answer and its end wait for the main thread
    draw(OTHER, together=True)
    live()
    assert (labels_of(viewer)[4] == 1).sum() == 60


def test_boxes_across_another_axis_are_boxes_too(session, viewer, draw, live, finish):
    """The mask goes with the last box of a segment, not with the last one on these slices."""
    shapes = draw(BOX)
    draw(Box2D(2, 3, 6, 8), axis=1, index=9, together=True)
    live()
    session.run_actions.segment_volume()
    finish()
    shapes.selected_data = {0}
    shapes.remove_selected()
    live()
    data = labels_of(viewer)
    assert not data[4].any(), "its own slice"
    assert data[5].any()


def test_what_comes_late_is_undone_and_redone_with_its_own_gesture(
    session, viewer, draw, live, segmenter
):
    """Names given meanwhile stay, and every step leads back to what was there."""
    segmenter.gate = threading.Semaphore(0)
    draw(BOX)
    session.segments.rename(1, "mine")
    segmenter.gate.release(10)
    live()
    named = session.state.segmentation
    assert named.segments[0].records
    session.undo_actions.undo()
    unnamed = session.state.segmentation
    assert unnamed.segments[0].records
    session.undo_actions.undo()
    assert not labels_of(viewer).any()
    session.undo_actions.redo()
    assert session.state.segmentation == unnamed
    session.undo_actions.redo()
    assert session.state.segmentation == named


# --- films


def test_a_live_mask_goes_to_the_volume_of_its_box(session, viewer, film, live, segmenter):
    viewer.dims.set_current_step(0, 1)
    draw_on_film(session, film, 1)
    live()
    viewer.dims.set_current_step(0, 2)
    segmenter.gate = threading.Semaphore(0)
    draw_on_film(session, film, 2)
    viewer.dims.set_current_step(0, 0)
    session.segments.begin()
    segmenter.gate.release(10)
    live()
    data = labels_of(viewer, "film labels")
    assert [int(volume.sum()) for volume in data] == [0, 24, 24]
    session.undo_actions.undo()
    session.undo_actions.undo()
    assert [int(volume.sum()) for volume in data] == [0, 24, 0]


def test_a_run_is_taken_back_from_its_own_volume(session, viewer, film, segmenter, finish, qtbot):
    session.state.live = False
    session.run_actions.add_box(Box3D(2, 2, 3, 6, 7, 6, key=4))
    segmenter.gate = threading.Semaphore(2)
    session.run_actions.segment_volume()
    data = labels_of(viewer, "film labels")
    qtbot.waitUntil(lambda: data[1].any())
    viewer.dims.set_current_step(0, 2)
    session.segments.rename(1, "heart")
    session.runs.cancel()
    segmenter.gate.release(100)
    session.run_actions.go_on()
    finish()
    assert [bool(volume.any()) for volume in data] == [False, True, False]
    while session.state.undoable:
        session.undo_actions.undo()
    assert not data.any()


def test_a_segment_is_deleted_from_all_volumes(session, viewer, film, live):
    for place in (1, 2):
        viewer.dims.set_current_step(0, place)
        draw_on_film(session, film, place)
        live()
    before = labels_of(viewer, "film labels").copy()
    session.segments.delete(1)
    assert not labels_of(viewer, "film labels").any()
    session.undo_actions.undo()
    np.testing.assert_array_equal(labels_of(viewer, "film labels"), before)
