import numpy as np
import pytest
from napari.layers import Image, Shapes

from napari_medsam_lite.core.boxes import Box2D
from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.gui.viewer.box_layer import (
    DrawnBox,
    drawn_boxes,
    drop_clicks,
    label_boxes,
    new_boxes_layer,
    rectangle,
    selected_rows,
    watch_boxes,
)
from napari_medsam_lite.gui.viewer.geometry import Plane


@pytest.fixture
def image():
    return Image(np.zeros((8, 20, 30)), scale=(-3, 0.8, 0.7), translate=(5, -7, 11))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_what_is_drawn_comes_back(image, axis):
    shapes = new_boxes_layer(image)
    shapes.add_rectangles(rectangle(Box2D(2, 3, 7, 6), Plane(axis, 5)))
    assert drawn_boxes(shapes, image, axis) == [DrawnBox(0, 5, Box2D(2, 3, 7, 6))]
    for other in {0, 1, 2} - {axis}:
        assert drawn_boxes(shapes, image, other) == []


def box_of(image, corners, kind="rectangle", axis=0):
    shapes = new_boxes_layer(image)
    shapes.add(np.array(corners, float), shape_type=kind)
    (drawn,) = drawn_boxes(shapes, image, axis)
    return drawn


def test_every_voxel_that_the_rectangle_touches_counts(image):
    corners = [(4, 2.6, 3.4), (4, 2.6, 9.6), (4, 8.4, 9.6), (4, 8.4, 3.4)]
    assert box_of(image, corners).box == Box2D(3, 3, 8, 10)
    edges = [(4, 2.5, 3.5), (4, 2.5, 9.5), (4, 8.5, 9.5), (4, 8.5, 3.5)]
    assert box_of(image, edges).box == Box2D(3, 4, 8, 9)


def test_slice_is_rounded(image):
    for z, index in ((3.67, 4), (4.33, 4), (4.5, 5)):
        corners = [(z, 2, 3), (z, 2, 9), (z, 8, 9), (z, 8, 3)]
        assert box_of(image, corners).index == index


def test_rotated_rectangles_and_other_shapes_count_by_their_corners(image):
    diamond = [(4, 2, 10), (4, 10, 18), (4, 18, 10), (4, 10, 2)]
    assert box_of(image, diamond).box == Box2D(2, 2, 18, 18)
    assert box_of(image, diamond[:3], "polygon").box == Box2D(2, 10, 18, 18)
    ellipse = [(4, 2, 3), (4, 2, 9), (4, 8, 9), (4, 8, 3)]
    assert box_of(image, ellipse, "ellipse").box == Box2D(2, 3, 8, 9)


def test_lines_and_paths_are_left_out(image):
    shapes = new_boxes_layer(image)
    shapes.add(np.array([(4, 1, 1), (4, 5, 5)]), shape_type="line")
    shapes.add(np.array([(4, 1, 1), (4, 5, 5), (4, 7, 2)]), shape_type="path")
    assert drawn_boxes(shapes, image, 0) == []
    assert label_boxes(shapes, lambda: 1) == [0, 0]


def test_zero_area_gives_a_box_without_area(image):
    drawn = box_of(image, [(4, 2.2, 3)] * 4)
    assert (drawn.box.y0, drawn.box.y1) == (2, 2)
    edge = box_of(image, [(4, 2.5, 3.5)] * 4)
    assert edge.box.y1 < edge.box.y0


def test_layer_in_another_place_is_mapped_through_the_world(image):
    shapes = Shapes(ndim=3)
    corners = [image.data_to_world(p) for p in rectangle(Box2D(2, 3, 7, 6), Plane(0, 5))]
    shapes.add_rectangles(np.array(corners))
    assert drawn_boxes(shapes, image, 0) == [DrawnBox(0, 5, Box2D(2, 3, 7, 6))]


def test_flat_image():
    image = Image(np.zeros((20, 30)))
    shapes = new_boxes_layer(image)
    shapes.add_rectangles(rectangle(Box2D(2, 3, 7, 6), Plane(0, 0), ndim=2))
    assert drawn_boxes(shapes, image, 0) == [DrawnBox(0, 0, Box2D(2, 3, 7, 6))]


def three_boxes(image):
    shapes = new_boxes_layer(image)
    watch_boxes(shapes)
    for y in (1, 5, 9):
        shapes.add_rectangles(rectangle(Box2D(y, 3, y + 3, 6), Plane(0, 5)))
    return shapes


def test_boxes_are_numbered_in_order_and_keep_their_label(image):
    shapes = three_boxes(image)
    assert label_boxes(shapes, lambda: 1) == [1, 2, 3]
    shapes.add_rectangles(rectangle(Box2D(13, 3, 15, 6), Plane(0, 5)))
    assert label_boxes(shapes, lambda: 1) == [1, 2, 3, 4]
    shapes.selected_data = {1}
    shapes.remove_selected()
    assert label_boxes(shapes, lambda: 1) == [1, 3, 4]
    shapes.add_rectangles(rectangle(Box2D(13, 3, 15, 6), Plane(0, 5)))
    assert label_boxes(shapes, lambda: 1) == [1, 3, 4, 5]


@pytest.mark.parametrize("row", range(3))
def test_a_new_box_does_not_get_the_label_of_a_removed_one(image, row):
    shapes = three_boxes(image)
    label_boxes(shapes, lambda: 1)
    shapes.mode = "select"
    shapes.selected_data = {row}
    shapes.remove_selected()
    shapes.mode = "add_rectangle"
    shapes.add_rectangles(rectangle(Box2D(13, 3, 15, 6), Plane(0, 5)))
    kept = [label for label in (1, 2, 3) if label != row + 1]
    assert label_boxes(shapes, lambda: 4) == [*kept, 4]


def test_labels_in_use_are_not_given_again(image):
    assert label_boxes(three_boxes(image), lambda: 7) == [7, 8, 9]


def test_a_copied_label_is_replaced(image):
    shapes = three_boxes(image)
    label_boxes(shapes, lambda: 1)
    shapes.selected_data = {0}
    shapes._copy_data()
    shapes._paste_data()
    assert list(shapes.features["label"]) == [1, 2, 3, 1]
    assert label_boxes(shapes, lambda: 1) == [1, 2, 3, 4]


def test_layer_without_the_column(image):
    shapes = Shapes([rectangle(Box2D(1, 3, 4, 6), Plane(0, 5))], ndim=3)
    assert label_boxes(shapes, lambda: 1) == [1]
    shapes.features = {"label": [np.nan]}
    assert label_boxes(shapes, lambda: 1) == [1]


def test_only_a_selection_tool_selects(image):
    shapes = three_boxes(image)
    shapes.mode = "select"
    shapes.selected_data = {0, 2}
    assert selected_rows(shapes) == {0, 2}
    shapes.mode = "add_rectangle"
    shapes.selected_data = {2}
    assert selected_rows(shapes) == set()
    assert selected_rows(None) == set()


def drawn_by_hand(shapes, corners):
    """What napari does when the mouse is released: the shape is there, then it is told."""
    shapes.mode = "add_rectangle"
    shapes.add(np.array(corners, float), shape_type="rectangle")


@pytest.mark.parametrize(
    ("height", "width", "stays"),
    [(0.2, 0.2, False), (0.2, 9, False), (9, 0.2, False), (5, 5, True)],
    ids=["a click", "a flat one", "a narrow one", "a box"],
)
def test_a_stray_click_makes_no_box(image, qtbot, height, width, stays):
    shapes = new_boxes_layer(image)
    watch_boxes(shapes)
    shapes.add_rectangles(rectangle(Box2D(1, 3, 4, 6), Plane(0, 5)))
    y, x = 6.0, 7.0
    drawn_by_hand(
        shapes, [(5, y, x), (5, y, x + width), (5, y + height, x + width), (5, y + height, x)]
    )
    qtbot.waitUntil(lambda: shapes.nshapes == 1 + stays)
    qtbot.wait(20)
    assert shapes.nshapes == 1 + stays
    assert shapes.mode == "add_rectangle"


def test_lines_drawn_by_hand_stay(image, qtbot):
    shapes = new_boxes_layer(image)
    watch_boxes(shapes)
    shapes.mode = "add_line"
    shapes.add(np.array([(4, 1, 1), (4, 1, 5)]), shape_type="line")
    qtbot.wait(20)
    assert shapes.nshapes == 1


def test_the_slices_that_a_file_names(image):
    shapes = three_boxes(image)
    assert {drawn.extent for drawn in drawn_boxes(shapes, image, 0)} == {None}
    shapes.features = {"first": [2, np.nan, 9], "last": ["6", 7, 3]}
    assert [drawn.extent for drawn in drawn_boxes(shapes, image, 0)] == [(2, 6), None, None]


def test_text_in_the_label_feature(image):
    shapes = three_boxes(image)
    shapes.features = {"label": ["liver", "2", None]}
    assert label_boxes(shapes, lambda: 1) == [3, 2, 4]


def test_a_box_drawn_beside_those_of_a_file_has_no_name_and_no_range(image):
    shapes = three_boxes(image)
    shapes.features = {
        "label": [1, 2, 3],
        "name": ["a", "b", "c"],
        "first": [0] * 3,
        "last": [5] * 3,
    }
    watch_boxes(shapes)
    shapes.mode = "add_rectangle"
    shapes.add_rectangles(rectangle(Box2D(13, 3, 17, 9), Plane(0, 7)))
    assert drawn_boxes(shapes, image, 0)[-1].extent is None
    assert shapes.features["name"].iloc[-1] == ""
    assert label_boxes(shapes, lambda: 1) == [1, 2, 3, 4]


def test_a_number_that_no_file_could_hold_is_not_given(image):
    shapes = three_boxes(image)
    with pytest.raises(MedSAMLiteError, match="between 1 and 65535"):
        label_boxes(shapes, lambda: 65535)
    assert list(shapes.features["label"]) == [0, 0, 0]
    assert label_boxes(shapes, lambda: 1) == [1, 2, 3]


def test_what_a_press_without_a_drag_left_is_removed(image):
    """napari fails between two slices, and leaves what it had begun."""
    shapes = three_boxes(image)
    side = shapes._normalized_vertex_radius / 2
    shapes.add_rectangles([[5, 2, 2], [5, 2, 2 + side], [5, 2 + side, 2 + side], [5, 2 + side, 2]])
    shapes.add(np.array([(5, 1, 1), (5, 1, 1 + side)]), shape_type="line")
    drop_clicks(shapes)
    assert list(shapes.shape_type) == ["rectangle"] * 3 + ["line"]
    drop_clicks(shapes)
    assert shapes.nshapes == 4
