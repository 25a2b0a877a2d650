import numpy as np
import pytest
from napari.layers import Image, Labels, Shapes
from tests.gui.session.acting import BOX, OTHER, has_labels, labels_of, told_problem

from napari_medsam_lite.core.boxes import Box2D, Box3D
from napari_medsam_lite.gui.viewer.drawn_boxes import rectangle
from napari_medsam_lite.gui.viewer.geometry import Plane, shown_plane

# --- boxes layer


def test_add_boxes_makes_one_layer_and_picks_the_rectangle_tool(session, image, viewer):
    session.run_actions.add_boxes()
    session.run_actions.add_boxes()
    (shapes,) = [layer for layer in viewer.layers if isinstance(layer, Shapes)]
    assert viewer.layers.selection.active is shapes
    assert shapes.mode == "add_rectangle"
    assert shapes.ndim == 3
    assert not labels_of(viewer).data.any()
    np.testing.assert_allclose(shapes.scale, image.scale)
    np.testing.assert_allclose(shapes.translate, image.translate)
    assert shapes.current_edge_color in ("yellow", "#ffff00")


def test_each_image_has_its_own_boxes(session, image, viewer):
    session.run_actions.add_boxes()
    other = viewer.add_image(np.zeros((4, 5, 6)), name="MR")
    session.state.image = other
    session.run_actions.add_boxes()
    assert viewer.layers.selection.active.name == "MR boxes"


def test_layers_of_a_closed_widget_are_found_again(
    session, image, viewer, draw, finish, open_session, answers
):
    draw(BOX)
    viewer.dims.set_current_step(0, 4)
    session.run_actions.segment_slice()
    finish()
    session.close()
    count = len(viewer.layers)
    image.name = "renamed"
    again = open_session()
    again.run_actions.add_boxes()
    assert len(viewer.layers) == count
    assert again.layers.labels(image) is labels_of(viewer)
    assert answers.questions == []


def test_layers_of_another_place_are_not_taken(session, image, viewer):
    viewer.add_shapes(ndim=3, name="CT boxes")
    viewer.add_labels(np.zeros((8, 20, 30), np.uint8), name="CT labels")
    assert session.layers.boxes(image) is None
    assert session.layers.labels(image) is None


def test_a_box_from_a_script_is_drawn_and_shown(session, image, viewer, finish):
    session.run_actions.add_box(Box3D(2, 3, 4, 6, 9, 12, key=5))
    assert shown_plane(image, viewer.dims) == Plane(0, 5)
    assert (session.state.z_from, session.state.z_to) == (2, 6)
    session.run_actions.segment_all()
    finish()
    expected = np.zeros((8, 20, 30), np.uint8)
    expected[2:7, 3:10, 4:13] = 1
    np.testing.assert_array_equal(labels_of(viewer).data, expected)


# --- one slice


def test_slice_writes_each_box_with_its_own_label(session, image, viewer, draw, finish):
    shapes = draw(BOX, OTHER)
    draw(BOX, index=2)
    viewer.dims.set_current_step(0, 4)
    session.run_actions.segment_slice()
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
    session.run_actions.add_boxes()
    shapes = draw(BOX)
    viewer.dims.set_current_step(0, 4)
    session.run_actions.segment_slice()
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
    session.run_actions.segment_slice()
    finish()
    data = labels_of(viewer).data
    plane = np.moveaxis(data, axis, 0)[7]
    assert (plane[2:8, 3:7] == 1).all()
    assert (data > 0).sum() == 24
    assert segmenter.prepared[-1].axis == axis


def test_flat_colour_image(session, viewer, finish):
    image = viewer.add_image(np.zeros((20, 30, 3), np.uint8), rgb=True, name="photo")
    session.run_actions.add_boxes()
    viewer.layers["photo boxes"].add_rectangles(rectangle(BOX, Plane(0, 0), 2))
    session.run_actions.segment_slice()
    finish()
    labels = labels_of(viewer)
    assert labels.data.shape == image.data.shape[:2]
    assert (labels.data[2:8, 3:7] == 1).all()
    session.run_actions.segment_all()
    finish()
    assert labels.data.sum() == 24


# --- a volume


def test_volume_runs_over_the_range_with_both_ends(session, image, viewer, draw, finish):
    draw(BOX)
    viewer.dims.set_current_step(0, 0)
    session.state.z_from, session.state.z_to = 2, 5
    session.run_actions.segment_all()
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
    session.run_actions.segment_all()
    finish()
    assert set(np.unique(labels_of(viewer).data)) == {0, 2}


def test_a_box_segmented_again_replaces_its_own_label_alone(
    session, image, viewer, draw, finish, segmenter
):
    shapes = draw(BOX, OTHER)
    session.run_actions.segment_all()
    finish()
    shapes.data = [rectangle(Box2D(2, 12, 4, 14), Plane(0, 4)), shapes.data[1]]
    segmenter.ends = 6
    session.run_actions.segment_all()
    finish()
    data = labels_of(viewer).data
    assert (data == 1).sum() == 7 * 9
    assert (data[:7, 2:5, 12:15] == 1).all()
    assert not data[7].any()
    assert (data == 2).sum() == 7 * 36


def test_a_shorter_range_leaves_the_rest_of_an_earlier_run(session, image, viewer, draw, finish):
    draw(BOX)
    session.run_actions.segment_all()
    finish()
    session.state.z_from, session.state.z_to = 3, 5
    session.run_actions.segment_all()
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
    session.run_actions.segment_slice()
    finish()
    assert labels.data[4, 5, 5] == winner
    assert labels.data[4, 2, 3] == 10, "the first number that is free, for 9 is in use"


def test_nothing_found_is_said(session, image, viewer, draw, finish, segmenter):
    segmenter.empty = True
    draw(BOX)
    viewer.dims.set_current_step(0, 4)
    session.run_actions.segment_slice()
    finish()
    assert "Nothing was found in 1 box" in session.state.message
    assert session.state.undoable == 1, "the box alone"


# --- what the user can get wrong


def test_no_image(session):
    for press in (
        session.run_actions.add_boxes,
        session.run_actions.segment_slice,
        session.run_actions.segment_volume,
    ):
        press()
        told_problem(session, "There is no image")


def test_a_colour_volume_is_explained(session, viewer):
    viewer.add_image(np.zeros((2, 5, 6, 3), np.uint8), rgb=True)
    for press in (
        session.run_actions.add_boxes,
        session.run_actions.segment_slice,
        session.run_actions.segment_volume,
    ):
        press()
        told_problem(session, "colour volume")
    assert len(viewer.layers) == 1


def test_no_box(session, image, viewer, draw):
    session.run_actions.segment_all()
    told_problem(session, "There is no box: press Add boxes")
    draw(BOX)
    viewer.dims.set_current_step(0, 2)
    session.run_actions.segment_slice()
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
    for press in (session.run_actions.segment_slice, session.run_actions.segment_volume):
        press()
        told_problem(session, words)
    assert not has_labels(viewer)
    assert not session.state.busy


def test_a_rectangle_without_area_is_left_out_and_told(session, image, viewer, draw, finish):
    draw(OTHER, Box2D(5, 3, 5, 9), together=True)
    viewer.dims.set_current_step(0, 4)
    for press in (session.run_actions.segment_slice, session.run_actions.segment_volume):
        press()
        finish()
        assert session.state.message.endswith("A rectangle without area on slice 4 was left out.")
    assert set(np.unique(labels_of(viewer).data)) == {0, 1}


def test_nothing_but_a_rectangle_without_area(session, image, viewer, draw):
    draw(Box2D(5, 3, 5, 9))
    viewer.dims.set_current_step(0, 4)
    for press in (session.run_actions.segment_slice, session.run_actions.segment_volume):
        press()
        told_problem(session, "The rectangle on slice 4 has no area")
    assert not has_labels(viewer)


def test_box_on_a_slice_that_the_image_does_not_have(session, image, draw):
    draw(BOX, index=12)
    session.run_actions.segment_all()
    told_problem(session, "A box lies on slice 12, outside the image's 0..7")


def test_ranges_that_do_not_fit(session, image, draw):
    draw(BOX)
    session.state.z_from, session.state.z_to = 5, 7
    session.run_actions.segment_all()
    told_problem(session, "The box on slice 4 lies outside the slices 5 to 7")
    session.state.z_to = 3
    session.run_actions.segment_all()
    told_problem(session, "ends at slice 3, before it starts at slice 5")


def test_3d_display(session, image, viewer, draw):
    draw(BOX)
    viewer.dims.ndisplay = 3
    session.run_actions.segment_slice()
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
