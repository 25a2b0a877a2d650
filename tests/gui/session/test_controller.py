import threading
from pathlib import Path

import numpy as np
import pytest
from napari.layers import Image, Labels, Shapes

from napari_medsam_lite.core.boxes import Box2D, Box3D
from napari_medsam_lite.core.volume import Source, Volume
from napari_medsam_lite.engine.look import Look
from napari_medsam_lite.engine.prepared import prepare_volume
from napari_medsam_lite.gui.viewer.drawn_boxes import rectangle
from napari_medsam_lite.gui.viewer.geometry import Plane, shown_plane
from napari_medsam_lite.gui.viewer.image_layers import fingerprint_of_image

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


def test_layers_of_a_closed_widget_are_found_again(
    session, image, viewer, draw, finish, open_session, answers
):
    draw(BOX)
    viewer.dims.set_current_step(0, 4)
    session.segment_slice()
    finish()
    session.close()
    count = len(viewer.layers)
    image.name = "renamed"
    again = open_session()
    again.add_boxes()
    assert len(viewer.layers) == count
    assert again.layers.labels(image) is labels_of(viewer)
    assert answers.questions == []


def test_layers_of_another_place_are_not_taken(session, image, viewer):
    viewer.add_shapes(ndim=3, name="CT boxes")
    viewer.add_labels(np.zeros((8, 20, 30), np.uint8), name="CT labels")
    assert session.layers.boxes(image) is None
    assert session.layers.labels(image) is None


def test_a_box_from_a_script_is_drawn_and_shown(session, image, viewer, finish):
    session.add_box(Box3D(2, 3, 4, 6, 9, 12, key=5))
    assert shown_plane(image, viewer.dims) == Plane(0, 5)
    assert (session.state.z_from, session.state.z_to) == (2, 6)
    session.segment_all()
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
def test_other_axes(session, image, viewer, draw, finish, segmenter, order, axis):
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
    assert segmenter.prepared[-1].axis == axis


def test_flat_colour_image(session, viewer, finish):
    image = viewer.add_image(np.zeros((20, 30, 3), np.uint8), rgb=True, name="photo")
    session.add_boxes()
    viewer.layers["photo boxes"].add_rectangles(rectangle(BOX, Plane(0, 0), 2))
    session.segment_slice()
    finish()
    labels = labels_of(viewer)
    assert labels.data.shape == image.data.shape[:2]
    assert (labels.data[2:8, 3:7] == 1).all()
    session.segment_all()
    finish()
    assert labels.data.sum() == 24


# --- a volume


def test_volume_runs_over_the_range_with_both_ends(session, image, viewer, draw, finish):
    draw(BOX)
    viewer.dims.set_current_step(0, 0)
    session.state.z_from, session.state.z_to = 2, 5
    session.segment_all()
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
    session.segment_all()
    finish()
    assert set(np.unique(labels_of(viewer).data)) == {0, 2}


def test_a_box_segmented_again_replaces_its_own_label_alone(
    session, image, viewer, draw, finish, segmenter
):
    shapes = draw(BOX, OTHER)
    session.segment_all()
    finish()
    shapes.data = [rectangle(Box2D(2, 12, 4, 14), Plane(0, 4)), shapes.data[1]]
    segmenter.ends = 6
    session.segment_all()
    finish()
    data = labels_of(viewer).data
    assert (data == 1).sum() == 7 * 9
    assert (data[:7, 2:5, 12:15] == 1).all()
    assert not data[7].any()
    assert (data == 2).sum() == 7 * 36


def test_a_shorter_range_leaves_the_rest_of_an_earlier_run(session, image, viewer, draw, finish):
    draw(BOX)
    session.segment_all()
    finish()
    session.state.z_from, session.state.z_to = 3, 5
    session.segment_all()
    finish()
    assert all(labels_of(viewer).data[z].any() for z in range(8))


@pytest.mark.parametrize(
    ("overlap", "winner"), [("keep", 9), ("logit", 9), ("surer", 9), ("overwrite", 10)]
)
def test_overlap_rule(session, image, viewer, draw, finish, overlap, winner):
    labels = session.layers.labels_made(image)
    labels.data[4, 5, 5] = 9
    draw(BOX)
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
    session.segment_all()
    finish()
    data = labels_of(viewer).data
    assert session.state.undoable == 3
    session.undo()
    assert [z for z in range(8) if data[z].any()] == [4]
    session.undo()
    assert not data.any()
    assert session.state.undoable == 1
    session.undo()
    assert session.layers.boxes(image).nshapes == session.state.undoable == 0
    session.undo()
    assert not session.state.is_problem


def test_nothing_found_is_said(session, image, viewer, draw, finish, segmenter):
    segmenter.empty = True
    draw(BOX)
    viewer.dims.set_current_step(0, 4)
    session.segment_slice()
    finish()
    assert "Nothing was found in 1 box" in session.state.message
    assert session.state.undoable == 1, "the box alone"


# --- the run itself


def test_the_last_mask_and_the_end_are_one_redraw(
    session, image, viewer, draw, finish, monkeypatch
):
    labels = segmented(session, image, viewer, draw, finish)
    session.undo()
    redraws, refresh = [], Labels.refresh
    monkeypatch.setattr(
        Labels, "refresh", lambda *args, **how: (redraws.append(1), refresh(*args, **how))
    )
    session.segment_slice()
    finish()
    assert labels.data.any()
    assert len(redraws) == 1


def test_choices_reach_the_engine_and_what_is_in_use_is_told(
    session, image, draw, finish, segmenter
):
    draw(BOX)
    session.state.preset, session.state.window = "eager", "liver"
    session.segment_all()
    finish()
    assert segmenter.wanted == ("eager", "auto")
    liver = prepare_volume(Volume(image.data), "liver")
    assert segmenter.prepared[-1].limits == liver.limits
    assert session.state.in_use == "In use: eager on a fake CPU."
    session.state.window = "auto"
    session.segment_all()
    finish()
    assert segmenter.prepared[-1].limits == prepare_volume(Volume(image.data)).limits


def test_window_as_shown_is_the_contrast_when_a_run_starts(session, image, draw, finish, segmenter):
    session.state.window = "as shown"
    image.contrast_limits = (-160, 240)
    draw(BOX)
    session.segment_all()
    image.contrast_limits = (-1000, 1000)
    finish()
    limits = segmenter.prepared[-1].limits
    assert (limits.low, limits.high) == (-160, 240)


def test_the_notice_on_the_checkpoint_is_shown(session, image, draw, finish, segmenter):
    segmenter.notice = "The checkpoint is not the official one."
    draw(BOX)
    session.segment_all()
    finish()
    assert "not the official one" in session.state.in_use


def test_the_volume_is_read_once_and_again_after_a_change(
    session, image, draw, finish, segmenter, answers
):
    session.state.read_ahead, answers.yes = False, True
    draw(BOX)
    for _ in range(2):
        session.segment_all()
        finish()
    assert segmenter.prepared[0] is segmenter.prepared[1]
    image.data = image.data + 1
    session.segment_all()
    finish()
    assert segmenter.prepared[2].volume is not segmenter.prepared[0].volume
    np.testing.assert_array_equal(segmenter.prepared[2].volume.data, image.data)


def test_history_has_the_latest_run_first(session, image, viewer, draw, finish):
    draw(BOX, OTHER)
    viewer.dims.set_current_step(0, 4)
    session.segment_slice()
    finish()
    session.segment_all()
    finish()
    volume, one = session.state.history
    assert (one.kind, one.image, one.boxes, one.slices, one.preset) == ("slice", "CT", 2, 1, "sdpa")
    assert (volume.kind, volume.boxes, volume.slices, volume.ending) == ("volume", 2, 8, "finished")
    assert 0 < volume.seconds < 60


def start_and_hold(session, segmenter, qtbot, masks):
    """Start a volume run and let it give `masks` masks, no more."""
    segmenter.gate = threading.Semaphore(masks)
    session.segment_all()
    qtbot.waitUntil(lambda: session.state.done == masks)


def test_slices_appear_while_it_runs_and_cancel_keeps_them(
    session, image, viewer, draw, segmenter, qtbot
):
    draw(BOX)
    start_and_hold(session, segmenter, qtbot, 3)
    data = labels_of(viewer).data
    assert [z for z in range(8) if data[z].any()] == [4, 5, 6]
    assert session.state.busy
    assert session.state.total == 8
    session.cancel()
    assert not session.state.busy
    segmenter.gate.release(100)
    qtbot.wait(300)
    assert [z for z in range(8) if data[z].any()] == [4, 5, 6]
    assert session.state.message == "Cancelled: 3 slices kept; Continue goes on from there."
    assert session.state.history[0].ending == "cancelled"
    session.undo()
    assert not data.any()


def test_a_second_run_is_refused_while_one_is_in_flight(
    session, image, draw, segmenter, qtbot, finish
):
    draw(BOX)
    start_and_hold(session, segmenter, qtbot, 1)
    session.segment_all()
    told_problem(session, "A run is in progress")
    segmenter.gate.release(100)
    finish()
    assert len(session.state.history) == 1
    assert session.state.done == 8


@pytest.mark.parametrize("which", ["labels", "image"])
def test_removing_a_layer_stops_the_run(session, image, viewer, draw, segmenter, qtbot, which):
    draw(BOX)
    start_and_hold(session, segmenter, qtbot, 2)
    gone = labels_of(viewer) if which == "labels" else image
    viewer.layers.remove(gone)
    told_problem(session, f"{gone.name} was removed, so the run was stopped.")
    assert not session.state.busy
    segmenter.gate.release(100)
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
    session, image, viewer, draw, segmenter, qtbot, finish
):
    draw(BOX)
    start_and_hold(session, segmenter, qtbot, 2)
    labels = labels_of(viewer)
    image.name, labels.name, viewer.layers[-1].name = "a", "b", "c"
    segmenter.gate.release(100)
    finish()
    assert all(labels.data[z].any() for z in range(8))
    session.segment_all()
    finish()
    assert len(viewer.layers) == 3


def test_an_unavailable_device_is_told(session, image, draw, finish):
    draw(BOX)
    session.state.device = "cuda"
    session.segment_all()
    finish()
    told_problem(session, "'cuda' is not available here")
    assert session.state.history[0].ending == "failed"
    session.state.device = "auto"
    session.segment_all()
    finish()
    assert not session.state.is_problem


# --- what the user can get wrong


def test_no_image(session):
    for press in (session.add_boxes, session.segment_slice, session.segment_volume):
        press()
        told_problem(session, "There is no image")


def test_a_colour_volume_is_explained(session, viewer):
    viewer.add_image(np.zeros((2, 5, 6, 3), np.uint8), rgb=True)
    for press in (session.add_boxes, session.segment_slice, session.segment_volume):
        press()
        told_problem(session, "colour volume")
    assert len(viewer.layers) == 1


def test_no_box(session, image, viewer, draw):
    session.segment_all()
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


def test_a_rectangle_without_area_is_left_out_and_told(session, image, viewer, draw, finish):
    draw(OTHER, Box2D(5, 3, 5, 9), together=True)
    viewer.dims.set_current_step(0, 4)
    for press in (session.segment_slice, session.segment_volume):
        press()
        finish()
        assert session.state.message.endswith("A rectangle without area on slice 4 was left out.")
    assert set(np.unique(labels_of(viewer).data)) == {0, 1}


def test_nothing_but_a_rectangle_without_area(session, image, viewer, draw):
    draw(Box2D(5, 3, 5, 9))
    viewer.dims.set_current_step(0, 4)
    for press in (session.segment_slice, session.segment_volume):
        press()
        told_problem(session, "The rectangle on slice 4 has no area")
    assert not has_labels(viewer)


def test_box_on_a_slice_that_the_image_does_not_have(session, image, draw):
    draw(BOX, index=12)
    session.segment_all()
    told_problem(session, "A box lies on slice 12, outside the image's 0..7")


def test_ranges_that_do_not_fit(session, image, draw):
    draw(BOX)
    session.state.z_from, session.state.z_to = 5, 7
    session.segment_all()
    told_problem(session, "The box on slice 4 lies outside the slices 5 to 7")
    session.state.z_to = 3
    session.segment_all()
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


# --- nothing of one image meets another


def another_patient(viewer, image, session, seed=7):
    """The image leaves, and another one of its name and shape comes."""
    voxels = np.random.default_rng(seed).integers(-1000, 1000, image.data.shape, np.int16)
    viewer.layers.remove(image)
    other = viewer.add_image(
        voxels,
        name=image.name,
        scale=image.scale,
        translate=image.translate,
        metadata={"medsam_lite": {"affine": "of the other file"}},
    )
    assert session.state.image is other
    return other


def segmented(session, image, viewer, draw, finish):
    draw(BOX)
    viewer.dims.set_current_step(0, 4)
    session.segment_slice()
    finish()
    return labels_of(viewer)


@pytest.mark.parametrize("press", ["add_boxes", "segment_slice", "segment_volume"])
def test_layers_of_another_patient_are_not_taken(
    session, image, viewer, draw, finish, answers, press
):
    image.metadata["medsam_lite"] = {"affine": "of the first file"}
    old = segmented(session, image, viewer, draw, finish)
    before = old.data.copy()
    other = another_patient(viewer, image, session)
    getattr(session, press)()
    finish()
    (question,) = answers.questions
    assert '"CT boxes" and "CT labels" may have been made on another image' in question
    session.add_boxes()
    assert len(answers.questions) == 1, "what was refused is not offered again"
    boxes, labels = session.layers.boxes(other), session.layers.labels(other)
    assert boxes is not None
    assert not len(boxes.data)
    assert labels is not old
    assert labels.metadata["medsam_lite"]["affine"] == "of the other file"
    np.testing.assert_array_equal(old.data, before)


def test_layers_of_another_patient_are_taken_if_the_user_says_so(
    session, image, viewer, draw, finish, answers
):
    old = segmented(session, image, viewer, draw, finish)
    other = another_patient(viewer, image, session)
    answers.yes = True
    session.add_boxes()
    assert session.layers.labels(other) is old
    assert old.metadata["medsam_lite"]["affine"] == "of the other file"


def test_the_truth_of_an_image_is_not_painted_on(session, viewer, image, finish):
    mark = {"fingerprint": fingerprint_of_image(image)}
    truth = viewer.add_labels(
        np.zeros(image.data.shape, np.uint8),
        name="CT truth",
        scale=image.scale,
        translate=image.translate,
        metadata={"medsam_lite": mark},
    )
    session.add_box(Box3D(2, 3, 4, 6, 9, 12, key=5))
    session.segment_all()
    finish()
    assert session.layers.labels(image) is not truth
    assert not truth.data.any()


def test_boxes_that_a_reader_made_are_the_images(session, image, viewer, finish, answers):
    """With the slices that the file names; the range of the dock narrows them."""
    corners = [rectangle(BOX, Plane(0, 4)), rectangle(OTHER, Plane(0, 2))]
    viewer.add_shapes(
        corners,
        name="from a file",
        scale=image.scale,
        translate=image.translate,
        features={"label": [3, 5], "first": [3, 1], "last": [6, 2]},
        metadata={"medsam_lite": {"fingerprint": fingerprint_of_image(image)}},
    )
    session.segment_all()
    finish()
    data = labels_of(viewer).data
    assert answers.questions == []
    assert np.flatnonzero((data == 3).any(axis=(1, 2))).tolist() == [3, 4, 5, 6]
    assert np.flatnonzero((data == 5).any(axis=(1, 2))).tolist() == [1, 2]


# --- images and labels that change under a run


@pytest.mark.parametrize("shape", [(8, 20, 30), (5, 9, 11)])
def test_replaced_voxels_stop_the_run(
    session, image, viewer, draw, segmenter, qtbot, shape, caplog
):
    draw(BOX)
    start_and_hold(session, segmenter, qtbot, 2)
    old = labels_of(viewer)
    image.data = np.ones(shape, np.int16)
    told_problem(session, "The voxels of CT were replaced, so the run was stopped.")
    assert [each for each in caplog.records if each.exc_info] == []
    assert not session.state.busy
    segmenter.gate.release(100)
    qtbot.wait(150)
    assert [z for z in range(8) if old.data[z].any()] == [4, 5]
    assert session.state.history[0].ending == "cancelled"


def test_an_image_of_another_shape_gets_labels_of_its_own(session, image, viewer, draw, finish):
    old = segmented(session, image, viewer, draw, finish)
    before = old.data.copy()
    image.data = np.zeros((5, 40, 50), np.int16)
    session.add_boxes()
    labels = session.layers.labels(image)
    assert labels.data.shape == (5, 40, 50)
    session.state.z_to = 4
    draw(BOX, index=3)
    session.segment_all()
    finish()
    assert labels.data.any()
    np.testing.assert_array_equal(old.data, before)


def test_labels_that_cannot_be_written_are_left_alone(session, image, viewer, draw, finish):
    old = segmented(session, image, viewer, draw, finish)
    frozen = old.data.copy()
    frozen.flags.writeable = False
    old.data = frozen
    session.segment_all()
    finish()
    assert not session.state.is_problem
    assert session.layers.labels(image) is not old


def test_labels_replaced_during_a_run_stop_it(session, image, viewer, draw, segmenter, qtbot):
    draw(BOX)
    start_and_hold(session, segmenter, qtbot, 2)
    labels = labels_of(viewer)
    labels.data = np.zeros((3, 4, 5), np.uint8)
    segmenter.gate.release(100)
    qtbot.waitUntil(lambda: not session.state.busy)
    told_problem(session, "The labels of CT labels were replaced")
    session.undo()
    assert not labels.data.any()


def test_an_edit_in_place_reaches_the_engine(session, image, draw, finish, segmenter):
    session.state.read_ahead = False
    draw(BOX)
    hashes = []
    for _ in range(2):
        session.segment_all()
        finish()
        hashes.append(segmenter.prepared[-1].hash_look(Look.whole(4, segmenter.prepared[-1].frame)))
        image.data[4] += 1
        image.refresh()
    assert hashes[0] != hashes[1]


def test_what_decides_a_run_is_taken_when_it_starts(
    session, image, viewer, draw, finish, segmenter, qtbot
):
    draw(BOX)
    labels = session.layers.labels_made(image)
    labels.data[4:6, 5, 5] = 9
    session.state.overlap = "keep"
    start_and_hold(session, segmenter, qtbot, 1)
    session.state.overlap = "overwrite"
    image.name = "renamed"
    segmenter.gate.release(100)
    finish()
    assert labels.data[4:6, 5, 5].tolist() == [9, 9]
    assert session.state.history[0].image == "CT"
    session.segment_all()
    finish()
    assert session.state.history[0].image == "renamed"


# --- undo


def test_undo_waits_for_the_end_of_a_run(session, image, viewer, draw, segmenter, qtbot, finish):
    draw(BOX)
    start_and_hold(session, segmenter, qtbot, 2)
    for go in (session.undo, session.redo):
        go()
        told_problem(session, "A run is in progress")
    segmenter.gate.release(100)
    finish()
    session.undo()
    assert not labels_of(viewer).data.any()


def test_redo(session, image, viewer, draw, finish):
    draw(BOX)
    session.segment_all()
    finish()
    done = labels_of(viewer).data.copy()
    session.undo()
    assert (session.state.undoable, session.state.redoable) == (1, 1)
    session.redo()
    assert (session.state.undoable, session.state.redoable) == (2, 0)
    np.testing.assert_array_equal(labels_of(viewer).data, done)


def test_after_undo_a_shorter_run_leaves_what_was_painted_by_hand(
    session, image, viewer, draw, finish, segmenter
):
    draw(BOX)
    session.segment_all()
    finish()
    session.undo()
    labels = labels_of(viewer)
    labels.data[7, 0, 0] = 1
    segmenter.ends = 5
    session.segment_all()
    finish()
    assert labels.data[7, 0, 0] == 1


# --- opening, closing, waiting


def test_closed_in_the_middle_of_a_run_it_can_be_opened_again(
    session, image, viewer, draw, segmenter, qtbot, finish
):
    draw(BOX)
    start_and_hold(session, segmenter, qtbot, 2)
    session.close()
    assert not session.state.busy
    segmenter.gate.release(100)
    session.open()
    session.segment_all()
    finish()
    assert session.state.history[0].ending == "finished"
    assert [z for z in range(8) if labels_of(viewer).data[z].any()] == list(range(8))
    viewer.add_image(np.zeros((3, 4, 5)))
    assert len(session.state.images) == 2


def test_a_closed_session_leaves_nothing_on_the_layers(open_session, viewer, image):
    def callbacks():
        emitters = [image.events.name, image.events.data, viewer.dims.events.current_step]
        emitters += [viewer.layers.events.inserted, viewer.layers.selection.events.active]
        return [len(emitter.callbacks) for emitter in emitters]

    before = callbacks()
    session = open_session()
    session.add_boxes()
    viewer.layers.remove("CT boxes")
    viewer.layers.remove("CT labels")
    assert callbacks() != before
    session.close()
    assert callbacks() == before


def test_what_is_large_is_let_go_on_close(session, image, engine, draw, finish):
    draw(BOX)
    session.segment_all()
    finish()
    assert engine._segmenter is not None
    session.close()
    assert engine._segmenter is engine._last is None


def test_after_a_cancellation_the_next_press_says_what_it_waits_for(
    session, image, draw, segmenter, qtbot, finish
):
    draw(BOX)
    segmenter.loading = threading.Semaphore(0)
    session.segment_all()
    assert session.state.message == "Starting..."
    qtbot.waitUntil(lambda: session.state.message == "Compiling, once...")
    session.cancel()
    assert "Cancelled" in session.state.message
    session.segment_all()
    assert "Waiting for the last step" in session.state.message
    segmenter.loading.release(100)
    finish()
    assert "Done" in session.state.message


def test_reordered_images_are_offered_in_their_order(session, image, viewer):
    other = viewer.add_image(np.zeros((3, 4, 5)), name="MR")
    viewer.layers.move(0, 2)
    assert session.state.images == (other, image)
    assert session.state.image is image


@pytest.mark.parametrize("value", ["liver", 1.5, -3, float("nan"), None, "2", True])
def test_whatever_the_label_feature_holds(session, image, viewer, draw, finish, value):
    shapes = draw(BOX)
    shapes.features = {"label": [value]}
    session.segment_all()
    finish()
    assert not session.state.is_problem
    assert labels_of(viewer).data.max() >= 1


def test_replaced_voxels_take_the_file_with_them(session, image, viewer, draw, finish):
    """Or the labels of the new ones would be saved where the old file says."""
    source = Source(Path("first.nii.gz"), header=(8, 20, 30))
    image.metadata["medsam_lite"] = {"affine": np.eye(4), "spacing": (3, 2, 2), "source": source}
    image.data = image.data + 1
    draw(BOX)
    session.segment_all()
    finish()
    held = labels_of(viewer).metadata["medsam_lite"]
    assert set(held) == {"fingerprint", "role"}
    assert session.state.history[0].record.input == "CT"


def test_undo_leaves_an_array_alone_that_was_put_in_place_of_the_labels(
    session, image, viewer, draw, finish
):
    labels = segmented(session, image, viewer, draw, finish)
    labels.data = np.ones_like(labels.data)
    assert session.state.undoable == 0, "what was done to the old array is gone with it"
    session.undo()
    assert (labels.data == 1).all()
    session.segment_all()
    finish()
    session.undo()
    assert (labels.data == 1).all()


def test_many_labels_widen_the_layer_and_undo_goes_on(session, image, viewer, draw, finish):
    shapes = draw(BOX)
    session.segment_all()
    finish()
    draw(OTHER)
    shapes.features = {"label": [1, 300]}
    session.segment_all()
    finish()
    labels = labels_of(viewer)
    assert labels.data.dtype == np.uint16
    assert set(np.unique(labels.data)) == {0, 1, 300}
    while session.state.undoable:
        session.undo()
    assert not labels.data.any()


def test_a_refused_press_does_not_touch_the_labels(
    session, image, viewer, draw, segmenter, qtbot, finish
):
    shapes = draw(BOX, OTHER)
    start_and_hold(session, segmenter, qtbot, 1)
    shapes.features = {"label": [1, 300]}
    session.segment_all()
    told_problem(session, "A run is in progress")
    segmenter.gate.release(100)
    finish()
    assert session.state.history[0].ending == "finished"
    assert labels_of(viewer).data.dtype == np.uint8


def test_a_removed_image_is_let_go(session, image, viewer, engine, draw, finish):
    draw(BOX)
    session.segment_all()
    finish()
    session.state.read_ahead = False
    assert engine._last is not None
    viewer.layers.remove(image)
    assert engine._last is session.runs._snapshot is None


def test_after_a_run_the_choices_of_now_are_read_ahead(
    session, image, viewer, draw, segmenter, qtbot, finish
):
    viewer.layers.selection.active = draw(BOX)
    viewer.dims.set_current_step(0, 4)
    start_and_hold(session, segmenter, qtbot, 1)
    session.state.preset = "eager"
    segmenter.gate.release(100)
    finish()
    qtbot.waitUntil(lambda: bool(segmenter.encoded))
    assert segmenter.wanted[0] == "eager"


def test_what_a_thread_loads_after_the_session_was_closed_is_not_kept(
    session, image, draw, segmenter, engine, qtbot
):
    draw(BOX)
    segmenter.loading = threading.Semaphore(0)
    session.segment_all()
    qtbot.waitUntil(lambda: session.state.message == "Compiling, once...")
    session.close()
    segmenter.loading.release(100)
    qtbot.wait(100)
    assert engine._segmenter is engine._last is None


def test_cancel_cuts_the_encoding_short(session, image, draw, segmenter, qtbot):
    draw(BOX)
    start_and_hold(session, segmenter, qtbot, 1)
    session.cancel()
    assert segmenter.interrupted == 1
    segmenter.gate.release(100)
