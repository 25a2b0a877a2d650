"""Segments, their boxes and their masks, as a person changes them."""

import threading

import numpy as np
import pytest
from napari.layers import Labels
from qtpy.QtWidgets import QApplication

from napari_medsam_lite.core.boxes import Box2D, Box3D
from napari_medsam_lite.core.labelset import BUILT_IN, color_of
from napari_medsam_lite.gui.viewer.drawn_boxes import rectangle
from napari_medsam_lite.gui.viewer.geometry import Plane

BOX = Box2D(2, 3, 7, 6)
OTHER = Box2D(10, 3, 15, 8)


def labels_of(viewer) -> Labels:
    (layer,) = [layer for layer in viewer.layers if isinstance(layer, Labels)]
    return layer


def mask_of(viewer, number, index=4):
    return labels_of(viewer).data[index] == number


def paint(layer, where, number):
    """What napari's bucket does: tell its history, and write."""
    index = tuple(np.array(axis) for axis in np.broadcast_arrays(*map(np.atleast_1d, where)))
    layer.data_setitem(index, number)
    QApplication.processEvents()


# --- segments and their boxes


def test_boxes_belong_to_the_current_segment(session, image, draw):
    shapes = draw(BOX)
    draw(OTHER, index=6, together=True)
    assert list(shapes.features["label"]) == [1, 1]
    session.segments.begin()
    draw(OTHER, together=True)
    assert list(shapes.features["label"]) == [1, 1, 2]
    session.segments.choose(1)
    draw(BOX, index=2, together=True)
    assert list(shapes.features["label"]) == [1, 1, 2, 1]
    assert session.state.segmentation.current == 1


def test_key_boxes_of_one_segment_are_one_run(session, image, viewer, draw, finish):
    draw(BOX, index=1)
    draw(OTHER, index=6, together=True)
    session.run_actions.segment_volume()
    finish()
    assert set(np.unique(labels_of(viewer).data)) == {0, 1}
    assert mask_of(viewer, 1, 1)[2:8, 3:7].all()
    assert mask_of(viewer, 1, 6)[10:16, 3:9].all()


def test_a_name_brings_colour_and_code_and_is_seen_in_napari(session, image, viewer, draw, finish):
    draw(BOX)
    session.segments.rename(1, "  Kidney  right ")
    segment = session.state.segmentation.current_segment
    known = BUILT_IN["TotalSegmentator"].named("kidney right")
    assert (segment.name, segment.color, segment.code) == (known.name, known.color, known.code)
    session.run_actions.segment_volume()
    finish()
    layer = labels_of(viewer)
    assert list(layer.features["name"]) == ["", "kidney_right"]
    np.testing.assert_allclose(
        layer.colormap.color_dict[1][:3], np.array(known.color) / 255, atol=0.01
    )
    session.segments.rename(1, "my own")
    assert session.state.segmentation.current_segment.code is None
    assert layer.features["name"][1] == "my own"


def test_names_are_found_again_by_another_dock(session, image, viewer, draw, finish, open_session):
    draw(BOX)
    session.segments.rename(1, "spleen")
    session.run_actions.segment_volume()
    finish()
    session.close()
    again = open_session()
    again.run_actions.add_boxes()
    assert [s.title for s in again.state.segmentation.segments] == ["spleen"]
    assert (
        again.state.segmentation.segments[0].color == session.state.segmentation.segments[0].color
    )


def test_boxes_are_moved_to_another_segment(session, image, viewer, draw):
    shapes = draw(BOX, OTHER)
    shapes.mode = "select"
    shapes.selected_data = {0}
    session.segments.move_selected_boxes(2)
    assert list(shapes.features["label"]) == [2, 2]
    session.undo_actions.undo()
    assert list(shapes.features["label"]) == [1, 2]


def test_deleting_a_segment_takes_boxes_and_voxels_and_comes_back(
    session, image, viewer, draw, finish
):
    shapes = draw(BOX, OTHER)
    session.run_actions.segment_all()
    finish()
    before = labels_of(viewer).data.copy()
    session.segments.delete(1)
    assert set(np.unique(labels_of(viewer).data)) == {0, 2}
    assert list(shapes.features["label"]) == [2]
    assert [s.number for s in session.state.segmentation.segments] == [2]
    session.undo_actions.undo()
    np.testing.assert_array_equal(labels_of(viewer).data, before)
    assert list(shapes.features["label"]) == [1, 2]
    session.undo_actions.redo()
    assert set(np.unique(labels_of(viewer).data)) == {0, 2}
    assert list(shapes.features["label"]) == [2]


def test_two_images_keep_their_own_segments(session, image, viewer, draw):
    draw(BOX)
    session.segments.rename(1, "liver")
    other = viewer.add_image(np.zeros((4, 20, 30)), name="MR")
    session.state.image = other
    assert session.state.segmentation.segments == ()
    draw(BOX, index=1)
    assert session.state.segmentation.current_segment.name == ""
    session.undo_actions.undo()
    assert session.state.segmentation.segments == ()
    session.state.image = image
    assert [s.name for s in session.state.segmentation.segments] == ["liver"]
    assert session.state.undoable == 2


# --- ranges


def test_each_segment_has_its_own_range(session, image, viewer, draw, finish):
    draw(BOX)
    session.state.z_from, session.state.z_to = 3, 5
    draw(OTHER)
    assert (session.state.z_from, session.state.z_to) == (0, 7)
    session.segments.choose(1)
    assert (session.state.z_from, session.state.z_to) == (3, 5)
    session.run_actions.segment_all()
    finish()
    data = labels_of(viewer).data
    assert np.flatnonzero((data == 1).any(axis=(1, 2))).tolist() == [3, 4, 5]
    assert np.flatnonzero((data == 2).any(axis=(1, 2))).tolist() == list(range(8))


def test_a_range_is_set_from_where_one_stands_and_survives_rolled_axes(
    session, image, viewer, draw
):
    draw(BOX)
    viewer.dims.set_current_step(0, 2)
    session.segments.limit_here(0)
    viewer.dims.set_current_step(0, 6)
    session.segments.limit_here(1)
    assert session.state.segmentation.segments[0].ranges == {0: (2, 6)}
    viewer.dims.order = (1, 0, 2)
    assert (session.state.z_from, session.state.z_to) == (0, 19)
    viewer.dims.order = (0, 1, 2)
    assert (session.state.z_from, session.state.z_to) == (2, 6)


@pytest.mark.parametrize(("direction", "slices"), [("up", [4, 5, 6, 7]), ("down", [0, 1, 2, 3, 4])])
def test_one_way_only(session, image, viewer, draw, finish, direction, slices):
    draw(BOX)
    session.state.direction = direction
    session.run_actions.segment_volume()
    finish()
    assert np.flatnonzero(labels_of(viewer).data.any(axis=(1, 2))).tolist() == slices


def test_steps_of_a_range_are_one_undo(session, image, draw):
    draw(BOX)
    before = session.state.undoable
    for first in (1, 2, 3):
        session.state.z_from = first
    assert session.state.undoable == before + 1
    session.undo_actions.undo()
    assert session.state.z_from == 0


# --- live


def test_the_mask_is_there_with_the_box_and_follows_it(session, viewer, draw, live):
    shapes = draw(BOX)
    live()
    assert mask_of(viewer, 1)[2:8, 3:7].all()
    shapes.data = [rectangle(OTHER, Plane(0, 4))]
    live()
    assert mask_of(viewer, 1).sum() == 36
    assert mask_of(viewer, 1)[10:16, 3:9].all(), "its old mask does not stand in the way"
    shapes.selected_data = {0}
    shapes.remove_selected()
    live()
    assert not labels_of(viewer).data.any()


def test_a_gesture_is_one_undo_with_its_mask(session, viewer, draw, live):
    shapes = draw(BOX)
    live()
    shapes.data = [rectangle(OTHER, Plane(0, 4))]
    live()
    assert session.state.undoable == 2
    session.undo_actions.undo()
    assert mask_of(viewer, 1).sum() == 24
    assert mask_of(viewer, 1)[2:8, 3:7].all()
    np.testing.assert_array_equal(shapes.data[0], rectangle(BOX, Plane(0, 4)))
    session.undo_actions.undo()
    assert not labels_of(viewer).data.any()
    assert session.state.segmentation.segments == ()
    session.undo_actions.redo()
    session.undo_actions.redo()
    assert mask_of(viewer, 1)[10:16, 3:9].all()
    assert (session.state.undoable, session.state.redoable) == (2, 0)


def test_the_newest_wins(session, viewer, draw, live, segmenter, qtbot):
    segmenter.gate = threading.Semaphore(0)
    shapes = draw(BOX)
    shapes.data = [rectangle(OTHER, Plane(0, 4))]
    segmenter.gate.release(10)
    live()
    qtbot.wait(50)
    assert mask_of(viewer, 1).sum() == 36
    assert mask_of(viewer, 1)[10:16, 3:9].all()


def test_two_boxes_of_a_segment_on_a_slice_are_two_parts(session, viewer, draw, live):
    draw(BOX)
    draw(OTHER, together=True)
    live()
    assert mask_of(viewer, 1)[2:8, 3:7].all()
    assert mask_of(viewer, 1)[10:16, 3:9].all()


def test_the_last_box_takes_what_was_propagated_from_it(session, viewer, draw, live, finish):
    shapes = draw(BOX)
    live()
    session.run_actions.segment_volume()
    finish()
    assert labels_of(viewer).data.any(axis=(1, 2)).all()
    shapes.selected_data = {0}
    shapes.remove_selected()
    live()
    assert not labels_of(viewer).data.any()
    session.undo_actions.undo()
    assert labels_of(viewer).data.any(axis=(1, 2)).all()


def test_what_is_drawn_during_a_run_is_answered_after_it(
    session, viewer, draw, live, finish, segmenter
):
    draw(BOX)
    live()
    segmenter.gate = threading.Semaphore(0)
    session.run_actions.segment_volume()
    session.segments.begin()
    draw(OTHER, together=True)
    segmenter.gate.release(100)
    finish()
    live()
    assert mask_of(viewer, 2)[10:16, 3:9].all()


def test_switched_off_a_box_waits(session, image, viewer, draw):
    draw(BOX)
    assert not any(isinstance(layer, Labels) for layer in viewer.layers)


def test_what_others_keep_is_told(session, viewer, draw, live):
    draw(BOX)
    live()
    draw(Box2D(2, 5, 7, 9))
    live()
    assert mask_of(viewer, 1).sum() == 24
    assert "12 voxels stayed with other segments" in session.state.message


# --- what a person painted, and locks


def test_what_was_painted_stays_unless_asked_otherwise(session, viewer, draw, live, finish):
    draw(OTHER)
    live()
    layer = labels_of(viewer)
    paint(layer, (4, [3, 4], [4, 4]), 9)
    paint(layer, (4, 12, 4), 0)
    session.run_actions.segment_slice()
    finish()
    draw(BOX, together=True)
    live()
    assert layer.data[4, 3, 4] == 9
    assert layer.data[4, 12, 4] == 0, "erased by hand is painted too"
    session.state.keep_painted, session.state.overlap = False, "overwrite"
    shapes = session.layers.boxes(session.state.image)
    shapes.data = [rectangle(OTHER, Plane(0, 4)), rectangle(Box2D(2, 3, 8, 6), Plane(0, 4))]
    live()
    assert layer.data[4, 3, 4] == 1
    assert layer.data[4, 12, 4] == 1


def test_the_key_takes_back_what_was_done_last_and_the_button_what_the_dock_did(
    session, viewer, draw, live
):
    draw(BOX)
    live()
    layer = labels_of(viewer)
    paint(layer, (4, 19, 29), 1)
    session.undo_actions.undo_latest()
    assert layer.data[4, 19, 29] == 0
    assert mask_of(viewer, 1).sum() == 24, "the brush came last"
    session.undo_actions.redo_latest()
    assert layer.data[4, 19, 29] == 1
    session.undo_actions.undo()
    assert layer.data[4, 19, 29] == 1
    assert mask_of(viewer, 1).sum() == 1


def test_a_run_after_a_stroke_is_taken_back_first(session, viewer, draw, live):
    draw(BOX)
    live()
    layer = labels_of(viewer)
    paint(layer, (4, 19, 29), 1)
    draw(OTHER, together=True)
    live()
    session.undo_actions.undo_latest()
    assert layer.data[4, 19, 29] == 1
    assert mask_of(viewer, 1).sum() == 25
    session.undo_actions.undo_latest()
    assert layer.data[4, 19, 29] == 0


def test_a_locked_segment_is_changed_by_nothing(session, viewer, draw, live, finish):
    draw(BOX)
    live()
    session.segments.lock(1, True)
    layer = labels_of(viewer)
    before = layer.data.copy()
    session.state.overlap = "overwrite"
    draw(Box2D(1, 1, 12, 12))
    live()
    np.testing.assert_array_equal(layer.data == 1, before == 1)
    paint(layer, (4, [3, 18], [4, 25]), 2)
    assert layer.data[4, 3, 4] == 1
    assert layer.data[4, 18, 25] == 2
    paint(layer, (4, 0, 29), 1)
    assert layer.data[4, 0, 29] == 0, "nor does it grow"
    session.segments.choose(1)
    session.run_actions.segment_volume()
    assert "locked" in session.state.message
    session.told(lambda: session.segments.delete(1))
    assert "locked" in session.state.message


# --- stop and go on


def test_continue_goes_on_without_asking_again(session, image, viewer, draw, finish, segmenter):
    draw(BOX)
    session.run_actions.segment_volume()
    session.runs.cancel()
    assert session.state.resumable
    session.run_actions.go_on()
    finish()
    assert labels_of(viewer).data.any(axis=(1, 2)).all()
    assert not session.state.resumable


def test_without_a_stopped_run_nothing_goes_on(session, image, draw):
    draw(BOX)
    session.run_actions.go_on()
    assert "No run was cancelled" in session.state.message


def test_a_segment_that_was_painted_stays_when_its_beginning_is_taken_back(
    session, viewer, draw, live
):
    draw(BOX)
    live()
    paint(labels_of(viewer), (5, 1, 1), 1)
    session.undo_actions.undo()
    assert [each.number for each in session.state.segmentation.segments] == [1]
    assert session.state.sizes[1][0] == 1
    assert session.state.segmentation.segments[0].worst_score is None
    session.undo_actions.redo()
    assert session.state.sizes[1][0] == 2


def test_a_segment_whose_boxes_came_with_a_layer_stays_when_its_beginning_is_taken_back(
    session, image, viewer, draw
):
    shapes = draw(BOX)
    viewer.layers.remove(shapes)
    session.segments.delete(1)
    assert session.state.segmentation.segments == ()
    session.segments.begin("liver")
    viewer.add_layer(shapes)
    session.undo_actions.undo()
    session.undo_actions.undo()
    assert [each.number for each in session.state.segmentation.segments] == [1]
    assert set(shapes.features["label"]) == {1}
    session.undo_actions.redo()
    session.undo_actions.redo()
    assert [each.name for each in session.state.segmentation.segments] == ["liver"]


def test_a_segment_without_a_voxel_goes_when_its_beginning_is_taken_back(
    session, viewer, draw, live
):
    draw(BOX)
    live()
    session.undo_actions.undo()
    assert session.state.segmentation.segments == ()


# --- the table's figures


def test_slices_and_millilitres(session, viewer, draw, live):
    draw(BOX)
    live()
    slices, millilitres = session.state.sizes[1]
    assert slices == 1
    assert millilitres == pytest.approx(24 * 3 * 0.8 * 0.8 / 1000)
    assert session.state.segmentation.segments[0].worst_score == pytest.approx(0.9)
    paint(labels_of(viewer), (5, 1, 1), 1)
    assert session.state.sizes[1][0] == 2


def test_a_problem_is_gone_with_its_cause(session, image, draw):
    session.run_actions.segment_slice()
    assert session.state.is_problem
    draw(BOX)
    assert not session.state.is_problem


def test_labels_have_a_colour_each():
    assert len({color_of(number) for number in range(1, 60)}) == 59


# --- films


def test_of_a_film_the_volume_shown_is_segmented(session, viewer, finish):
    film = viewer.add_image(np.random.default_rng(0).integers(0, 99, (3, 8, 20, 30), np.int16))
    session.state.image = film
    viewer.dims.set_current_step(0, 1)
    session.run_actions.add_box(Box3D(2, 2, 3, 6, 7, 6, key=4))
    session.run_actions.segment_volume()
    finish()
    data = labels_of(viewer).data
    assert data.shape == film.data.shape
    assert [bool(volume.any()) for volume in data] == [False, True, False]
    assert np.flatnonzero(data[1].any(axis=(1, 2))).tolist() == [2, 3, 4, 5, 6]
    viewer.dims.set_current_step(0, 2)
    session.run_actions.segment_volume()
    assert "no box" in session.state.message
    session.undo_actions.undo()
    assert not data.any()


def test_a_box_where_the_network_sees_nothing_is_told(session, image, viewer, draw, live):
    image.data[:] = -900
    session.state.window = "abdomen"
    draw(BOX)
    live()
    assert session.state.is_problem
    assert "lung" in session.state.message
