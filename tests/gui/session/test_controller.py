import threading

import numpy as np
import pytest
from napari.layers import Image, Labels, Shapes

from napari_medsam_lite.core.boxes import Box2D, Box3D
from napari_medsam_lite.core.window import CTWindow, parse_window
from napari_medsam_lite.gui.session.controller import SessionController
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.gui.viewer.box_layer import rectangle
from napari_medsam_lite.gui.viewer.geometry import Plane, shown_plane

BOX = Box2D(2, 3, 7, 6)
OTHER = Box2D(10, 3, 15, 8)


def labels_of(viewer) -> Labels:
    (layer,) = [layer for layer in viewer.layers if isinstance(layer, Labels)]
    return layer


def has_labels(viewer) -> bool:
    return any(isinstance(layer, Labels) for layer in viewer.layers)


def told_problem(session, words):
    assert session.state.is_problem
    assert words in session.state.message
    assert "\n" not in session.state.message


# --- boxes layer


def test_add_boxes_makes_one_layer_and_picks_the_rectangle_tool(session, image, viewer):
    session.add_boxes()
    session.add_boxes()
    (shapes,) = [layer for layer in viewer.layers if isinstance(layer, Shapes)]
    assert viewer.layers.selection.active is shapes
    assert shapes.mode == "add_rectangle"
    assert shapes.ndim == 3
    assert not labels_of(viewer).data.any()
    np.testing.assert_allclose(shapes.scale, image.scale)
    np.testing.assert_allclose(shapes.translate, image.translate)
    assert shapes.current_edge_color in ("yellow", "#ffff00")


def test_each_image_has_its_own_boxes(session, image, viewer):
    session.add_boxes()
    other = viewer.add_image(np.zeros((4, 5, 6)), name="MR")
    session.state.image = other
    session.add_boxes()
    assert viewer.layers.selection.active.name == "MR boxes"


def test_layers_of_a_closed_widget_are_found_again(session, image, viewer, work, draw, finish):
    draw(BOX)
    viewer.dims.set_current_step(0, 4)
    session.segment_slice()
    finish()
    count = len(viewer.layers)
    again = SessionController(viewer, SessionState(), work)
    again.add_boxes()
    assert len(viewer.layers) == count
    assert again.companions.labels(image) is labels_of(viewer)
    again.close()


def test_layers_of_another_place_are_not_taken(session, image, viewer):
    viewer.add_shapes(ndim=3, name="CT boxes")
    viewer.add_labels(np.zeros((8, 20, 30), np.uint8), name="CT labels")
    assert session.companions.boxes(image) is None
    assert session.companions.labels(image) is None


def test_a_box_from_a_script_is_drawn_and_shown(session, image, viewer, finish):
    session.add_box(Box3D(2, 3, 4, 6, 9, 12, key=5))
    assert shown_plane(image, viewer.dims) == Plane(0, 5)
    assert (session.state.z_from, session.state.z_to) == (2, 6)
    session.segment_volume()
    finish()
    expected = np.zeros((8, 20, 30), np.uint8)
    expected[2:7, 3:10, 4:13] = 1
    np.testing.assert_array_equal(labels_of(viewer).data, expected)


# --- one slice


def test_slice_writes_each_box_with_its_own_label(session, image, viewer, draw, finish):
    shapes = draw(BOX, OTHER)
    draw(BOX, index=2)
    viewer.dims.set_current_step(0, 4)
    session.segment_slice()
    finish()
    labels = labels_of(viewer)
    expected = np.zeros((8, 20, 30), np.uint8)
    expected[4, 2:8, 3:7] = 1
    expected[4, 10:16, 3:9] = 2
    np.testing.assert_array_equal(labels.data, expected)
    assert labels.name == "CT labels"
    np.testing.assert_allclose(labels.scale, image.scale)
    np.testing.assert_allclose(labels.translate, image.translate)
    assert list(shapes.features["label"]) == [1, 2, 3]
    assert "2 boxes on 1 slice" in session.state.message


def test_the_new_labels_layer_does_not_take_the_tool_away(session, image, viewer, draw, finish):
    session.add_boxes()
    shapes = draw(BOX)
    viewer.dims.set_current_step(0, 4)
    session.segment_slice()
    finish()
    assert viewer.layers.selection.active is shapes
    assert shapes.mode == "add_rectangle"
    assert [type(layer) for layer in viewer.layers] == [Image, Labels, Shapes]


@pytest.mark.parametrize(("order", "axis"), [((1, 0, 2), 1), ((2, 0, 1), 2)])
def test_other_axes(session, image, viewer, draw, finish, predictor, order, axis):
    viewer.dims.order = order
    draw(BOX, axis=axis, index=7)
    draw(OTHER, axis=0, index=4)
    viewer.dims.set_current_step(axis, 7)
    session.segment_slice()
    finish()
    data = labels_of(viewer).data
    plane = np.moveaxis(data, axis, 0)[7]
    assert (plane[2:8, 3:7] == 1).all()
    assert (data > 0).sum() == 24
    assert predictor.volumes[-1][2] == axis


def test_flat_colour_image(session, viewer, finish):
    image = viewer.add_image(np.zeros((20, 30, 3), np.uint8), rgb=True, name="photo")
    session.add_boxes()
    viewer.layers["photo boxes"].add_rectangles(rectangle(BOX, Plane(0, 0), 2))
    session.segment_slice()
    finish()
    labels = labels_of(viewer)
    assert labels.data.shape == image.data.shape[:2]
    assert (labels.data[2:8, 3:7] == 1).all()
    session.segment_volume()
    finish()
    assert labels.data.sum() == 24


# --- a volume


def test_volume_runs_over_the_range_with_both_ends(session, image, viewer, draw, finish):
    draw(BOX)
    viewer.dims.set_current_step(0, 0)
    session.state.z_from, session.state.z_to = 2, 5
    session.segment_volume()
    finish()
    data = labels_of(viewer).data
    assert [z for z in range(8) if data[z].any()] == [2, 3, 4, 5]
    assert (data[5, 2:8, 3:7] == 1).all()
    assert (session.state.done, session.state.total) == (4, 4)


def test_the_range_is_full_and_follows_the_axis(session, image, viewer):
    state = session.state
    assert (state.z_from, state.z_to, state.z_last) == (0, 7, 7)
    state.z_from = 3
    viewer.dims.set_current_step(0, 2)
    assert state.z_from == 3
    viewer.dims.order = (2, 0, 1)
    assert (state.z_from, state.z_to, state.z_last) == (0, 29, 29)
    viewer.dims.order = (0, 1, 2)
    assert (state.z_from, state.z_to, state.z_last) == (0, 7, 7)


def test_selected_boxes_alone(session, image, viewer, draw, finish):
    shapes = draw(BOX, OTHER)
    shapes.mode = "select"
    shapes.selected_data = {1}
    session.segment_volume()
    finish()
    assert set(np.unique(labels_of(viewer).data)) == {0, 2}


def test_a_box_segmented_again_replaces_its_own_label_alone(
    session, image, viewer, draw, finish, predictor
):
    shapes = draw(BOX, OTHER)
    session.segment_volume()
    finish()
    shapes.data = [rectangle(Box2D(2, 12, 4, 14), Plane(0, 4)), shapes.data[1]]
    predictor.ends = 6
    session.segment_volume()
    finish()
    data = labels_of(viewer).data
    assert (data == 1).sum() == 7 * 9
    assert (data[:7, 2:5, 12:15] == 1).all()
    assert not data[7].any()
    assert (data == 2).sum() == 7 * 36


def test_a_shorter_range_leaves_the_rest_of_an_earlier_run(session, image, viewer, draw, finish):
    draw(BOX)
    session.segment_volume()
    finish()
    session.state.z_from, session.state.z_to = 3, 5
    session.segment_volume()
    finish()
    assert all(labels_of(viewer).data[z].any() for z in range(8))


@pytest.mark.parametrize(("overlap", "winner"), [("keep", 9), ("overwrite", 10)])
def test_overlap_rule(session, image, viewer, draw, finish, overlap, winner):
    draw(BOX)
    labels = session.companions.labels_made(image)
    labels.data[4, 5, 5] = 9
    session.state.overlap = overlap
    viewer.dims.set_current_step(0, 4)
    session.segment_slice()
    finish()
    assert labels.data[4, 5, 5] == winner
    assert labels.data[4, 2, 3] == 10, "the first number that is free, for 9 is in use"


def test_undo_takes_run_after_run_back(session, image, viewer, draw, finish):
    draw(BOX)
    viewer.dims.set_current_step(0, 4)
    session.segment_slice()
    finish()
    session.segment_volume()
    finish()
    data = labels_of(viewer).data
    assert session.state.undoable == 2
    session.undo()
    assert [z for z in range(8) if data[z].any()] == [4]
    session.undo()
    assert not data.any()
    assert session.state.undoable == 0
    session.undo()
    assert not session.state.is_problem


def test_nothing_found_is_said(session, image, viewer, draw, finish, predictor):
    predictor.empty = True
    draw(BOX)
    viewer.dims.set_current_step(0, 4)
    session.segment_slice()
    finish()
    assert "Nothing was found in 1 box" in session.state.message
    assert session.state.undoable == 0


# --- the run itself


def test_choices_reach_the_engine_and_what_is_in_use_is_told(
    session, image, draw, finish, predictor
):
    draw(BOX)
    session.state.preset, session.state.window = "eager", "liver"
    session.segment_volume()
    finish()
    assert predictor.wanted == ("eager", "auto")
    assert predictor.volumes[-1][1] == "liver"
    assert session.state.in_use == "In use: eager on a fake CPU."
    session.state.window = "auto"
    session.segment_volume()
    finish()
    assert predictor.volumes[-1][1] is None


def test_window_as_shown_is_the_contrast_when_a_run_starts(session, image, draw, finish, predictor):
    session.state.window = "as shown"
    image.contrast_limits = (-160, 240)
    draw(BOX)
    session.segment_volume()
    image.contrast_limits = (-1000, 1000)
    finish()
    volume, window, _ = predictor.volumes[-1]
    assert parse_window(window, volume) == CTWindow(level=40, width=400)


def test_the_notice_on_the_checkpoint_is_shown(session, image, draw, finish, predictor):
    predictor.checkpoint = type("C", (), {"notice": "The checkpoint is not the official one."})
    draw(BOX)
    session.segment_volume()
    finish()
    assert "not the official one" in session.state.in_use


def test_the_volume_is_read_once_and_again_after_a_change(session, image, draw, finish, predictor):
    session.state.read_ahead = False
    draw(BOX)
    for _ in range(2):
        session.segment_volume()
        finish()
    assert predictor.volumes[0][0] is predictor.volumes[1][0]
    image.data = image.data + 1
    session.segment_volume()
    finish()
    assert predictor.volumes[2][0] is not predictor.volumes[0][0]
    np.testing.assert_array_equal(predictor.volumes[2][0].data, image.data)


def test_history_has_the_latest_run_first(session, image, viewer, draw, finish):
    draw(BOX, OTHER)
    viewer.dims.set_current_step(0, 4)
    session.segment_slice()
    finish()
    session.segment_volume()
    finish()
    volume, one = session.state.history
    assert (one.task, one.image, one.boxes, one.slices, one.preset) == ("slice", "CT", 2, 1, "sdpa")
    assert (volume.task, volume.boxes, volume.slices, volume.ending) == ("volume", 2, 8, "finished")
    assert 0 < volume.seconds < 5


def start_and_hold(session, predictor, qtbot, masks):
    """Start a volume run and let it give `masks` masks, no more."""
    predictor.gate = threading.Semaphore(masks)
    session.segment_volume()
    qtbot.waitUntil(lambda: session.state.done == masks, timeout=5000)


def test_slices_appear_while_it_runs_and_cancel_keeps_them(
    session, image, viewer, draw, predictor, qtbot
):
    draw(BOX)
    start_and_hold(session, predictor, qtbot, 3)
    data = labels_of(viewer).data
    assert [z for z in range(8) if data[z].any()] == [4, 5, 6]
    assert session.state.busy
    assert session.state.total == 8
    session.cancel()
    assert not session.state.busy
    predictor.gate.release(100)
    qtbot.wait(300)
    assert [z for z in range(8) if data[z].any()] == [4, 5, 6]
    assert session.state.message == "Cancelled: 3 slices kept."
    assert session.state.history[0].ending == "cancelled"
    session.undo()
    assert not data.any()


def test_a_second_run_is_refused_while_one_is_in_flight(
    session, image, draw, predictor, qtbot, finish
):
    draw(BOX)
    start_and_hold(session, predictor, qtbot, 1)
    session.segment_volume()
    told_problem(session, "A run is in progress")
    predictor.gate.release(100)
    finish()
    assert len(session.state.history) == 1
    assert session.state.done == 8


@pytest.mark.parametrize("which", ["labels", "image"])
def test_removing_a_layer_stops_the_run(session, image, viewer, draw, predictor, qtbot, which):
    draw(BOX)
    start_and_hold(session, predictor, qtbot, 2)
    gone = labels_of(viewer) if which == "labels" else image
    viewer.layers.remove(gone)
    told_problem(session, f"{gone.name} was removed, so the run was stopped.")
    assert not session.state.busy
    predictor.gate.release(100)
    qtbot.wait(300)
    assert has_labels(viewer) == (which == "image")


def test_a_new_labels_layer_is_made_after_removal_with_the_same_label(
    session, image, viewer, draw, finish
):
    draw(BOX)
    viewer.dims.set_current_step(0, 4)
    session.segment_slice()
    finish()
    viewer.layers.remove(labels_of(viewer))
    assert session.state.undoable == 0
    session.segment_slice()
    finish()
    assert (labels_of(viewer).data[4, 2:8, 3:7] == 1).all()


def test_renaming_layers_during_a_run_does_no_harm(
    session, image, viewer, draw, predictor, qtbot, finish
):
    draw(BOX)
    start_and_hold(session, predictor, qtbot, 2)
    labels = labels_of(viewer)
    image.name, labels.name, viewer.layers[-1].name = "a", "b", "c"
    predictor.gate.release(100)
    finish()
    assert all(labels.data[z].any() for z in range(8))
    session.segment_volume()
    finish()
    assert len(viewer.layers) == 3


def test_an_unavailable_device_is_told(session, image, draw, finish):
    draw(BOX)
    session.state.device = "cuda"
    session.segment_volume()
    finish()
    told_problem(session, "'cuda' is not available here")
    assert session.state.history[0].ending == "failed"
    session.state.device = "auto"
    session.segment_volume()
    finish()
    assert not session.state.is_problem


# --- what the user can get wrong


def test_no_image(session):
    for press in (session.add_boxes, session.segment_slice, session.segment_volume):
        press()
        told_problem(session, "There is no image")


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        (np.zeros((2, 5, 6, 3), np.uint8), {"rgb": True}, "colour volume"),
        (np.zeros((2, 3, 5, 6)), {}, "4 dimensions"),
    ],
)
def test_images_that_do_not_fit(session, viewer, data, options, words):
    viewer.add_image(data, **options)
    for press in (session.add_boxes, session.segment_slice, session.segment_volume):
        press()
        told_problem(session, words)
    assert len(viewer.layers) == 1


def test_no_box(session, image, viewer, draw):
    session.segment_volume()
    told_problem(session, "There is no box: press Add boxes")
    draw(BOX)
    viewer.dims.set_current_step(0, 2)
    session.segment_slice()
    told_problem(session, "There is no box on slice 2")
    assert not has_labels(viewer)


@pytest.mark.parametrize(
    ("box", "words"),
    [
        (Box2D(100, 3, 120, 6), "lies outside the slice"),
        (Box2D(-20, 3, -10, 6), "lies outside the slice"),
        (Box2D(5, 3, 5, 9), "has no area"),
    ],
)
def test_boxes_that_do_not_fit(session, image, viewer, draw, box, words):
    draw(OTHER, box)
    viewer.dims.set_current_step(0, 4)
    for press in (session.segment_slice, session.segment_volume):
        press()
        told_problem(session, words)
    assert not has_labels(viewer)
    assert not session.state.busy


def test_box_on_a_slice_that_the_image_does_not_have(session, image, draw):
    draw(BOX, index=12)
    session.segment_volume()
    told_problem(session, "A box lies on slice 12, outside the image's 0..7")


def test_ranges_that_do_not_fit(session, image, draw):
    draw(BOX)
    session.state.z_from, session.state.z_to = 5, 7
    session.segment_volume()
    told_problem(session, "The box on slice 4 lies outside the slices 5 to 7")
    session.state.z_to = 3
    session.segment_volume()
    told_problem(session, "ends at slice 3, before it starts at slice 5")


def test_3d_display(session, image, viewer, draw):
    draw(BOX)
    viewer.dims.ndisplay = 3
    session.segment_slice()
    told_problem(session, "switch to 2D")


def test_images_are_offered_and_the_first_is_chosen(session, viewer, image):
    state = session.state
    assert state.image is image
    other = viewer.add_image(np.zeros((3, 4, 5)))
    assert state.images == (image, other)
    assert state.image is image
    viewer.layers.remove(image)
    assert state.image is other
    assert (state.z_to, state.z_last) == (2, 2)
    viewer.layers.clear()
    assert (state.image, state.images) == (None, ())


def test_a_closed_session_listens_no_more(session, viewer, image):
    session.close()
    viewer.add_image(np.zeros((3, 4, 5)))
    assert session.state.images == (image,)
