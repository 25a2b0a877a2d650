from dataclasses import replace

import numpy as np
import pytest
from napari.layers import Image, Shapes

from napari_medsam_lite.core.boxes import Box2D
from napari_medsam_lite.core.segmentation import Segmentation
from napari_medsam_lite.gui.viewer.box_layer import (
    Boxes,
    dress_boxes,
    move_boxes,
    names_of_boxes,
    new_boxes_layer,
    number_boxes,
    selected_rows,
)
from napari_medsam_lite.gui.viewer.drawn_boxes import (
    drawn_boxes,
    rectangle,
)
from napari_medsam_lite.gui.viewer.geometry import Plane


@pytest.fixture
def image():
    return Image(np.zeros((8, 20, 30)), scale=(-3, 0.8, 0.7), translate=(5, -7, 11))


def three_boxes(image):
    shapes = new_boxes_layer(image)
    for y in (1, 5, 9):
        shapes.add_rectangles(rectangle(Box2D(y, 3, y + 3, 6), Plane(0, 5)))
    return shapes


def test_boxes_without_a_number_go_to_the_current_segment(image):
    shapes = three_boxes(image)
    assert number_boxes(shapes, 2) == [2, 2, 2]
    shapes.add_rectangles(rectangle(Box2D(13, 3, 15, 6), Plane(0, 5)))
    assert number_boxes(shapes, 7)[-1] in (2, 7)
    assert number_boxes(shapes, 9)[:3] == [2, 2, 2], "a number stays"


def test_a_pasted_box_belongs_to_the_same_segment(image):
    shapes = three_boxes(image)
    number_boxes(shapes, 4)
    shapes.selected_data = {0}
    shapes._copy_data()
    shapes._paste_data()
    assert number_boxes(shapes, 9) == [4] * 4


def test_layer_without_the_column(image):
    shapes = Shapes([rectangle(Box2D(1, 3, 4, 6), Plane(0, 5))], ndim=3)
    assert number_boxes(shapes, 1) == [1]
    shapes.features = {"label": [np.nan]}
    assert number_boxes(shapes, 3) == [3]


def test_boxes_are_moved_to_another_segment(image):
    shapes = three_boxes(image)
    number_boxes(shapes, 1)
    move_boxes(shapes, {0, 2}, 5)
    assert number_boxes(shapes, 1) == [5, 1, 5]


def test_boxes_have_the_colour_of_their_segment(image):
    shapes = three_boxes(image)
    number_boxes(shapes, 1)
    move_boxes(shapes, {2}, 2)
    segmentation = Segmentation().begin().begin()
    hidden = replace(segmentation.segments[1], visible=False)
    dress_boxes(shapes, segmentation.put(hidden))
    first = np.array(segmentation.segments[0].color) / 255
    np.testing.assert_allclose(shapes.edge_color[:2, :3], [first, first], atol=1e-6)
    assert shapes.edge_color[:, 3].tolist() == [1, 1, 0]
    assert shapes.feature_defaults["label"][0] == 2, "new boxes belong to the current segment"


def test_shapes_come_back_as_they_were(image):
    shapes = three_boxes(image)
    number_boxes(shapes, 1)
    before = Boxes.of(shapes)
    shapes.add(np.array([(4, 1, 1), (4, 1, 5)]), shape_type="line")
    shapes.data = [np.asarray(v) + 1 for v in shapes.data]
    move_boxes(shapes, {0}, 3)
    after = Boxes.of(shapes)
    assert before != after
    before.put_into(shapes)
    assert Boxes.of(shapes) == before
    after.put_into(shapes)
    assert Boxes.of(shapes) == after


def test_only_a_selection_tool_selects(image):
    shapes = three_boxes(image)
    shapes.mode = "select"
    shapes.selected_data = {0, 2}
    assert selected_rows(shapes) == {0, 2}
    shapes.mode = "add_rectangle"
    shapes.selected_data = {2}
    assert selected_rows(shapes) == set()
    assert selected_rows(None) == set()


def test_text_in_the_label_feature(image):
    shapes = three_boxes(image)
    shapes.features = {"label": ["liver", "2", None]}
    assert number_boxes(shapes, 3) == [3, 2, 3]


def test_a_number_that_no_label_can_be(image):
    shapes = three_boxes(image)
    shapes.features = {"label": [-1, 70_000, 65_535]}
    assert number_boxes(shapes, 1) == [1, 1, 65_535]


def test_a_box_drawn_beside_those_of_a_file_has_no_name_and_no_range(image):
    shapes = three_boxes(image)
    shapes.features = {
        "label": [1, 2, 3],
        "name": ["a", "b", "c"],
        "first": [0] * 3,
        "last": [5] * 3,
    }
    assert names_of_boxes(shapes) == {1: "a", 2: "b", 3: "c"}
    dress_boxes(shapes, Segmentation().begin(6))
    shapes.add_rectangles(rectangle(Box2D(13, 3, 17, 9), Plane(0, 7)))
    assert drawn_boxes(shapes, image, 0)[-1].extent is None
    assert shapes.features["name"].iloc[-1] == ""
    assert number_boxes(shapes, 1) == [1, 2, 3, 7]
