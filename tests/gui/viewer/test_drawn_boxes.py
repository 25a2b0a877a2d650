import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from napari.layers import Image, Shapes

from napari_medsam_lite.core.boxes import Box2D, Box3D, KeyBox
from napari_medsam_lite.gui.viewer.box_layer import (
    new_boxes_layer,
    number_boxes,
)
from napari_medsam_lite.gui.viewer.drawn_boxes import (
    DrawnBox,
    boxes_to_draw,
    drawn_boxes,
    drawn_last,
    key_boxes,
    rectangle,
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


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_what_is_drawn_on_a_film_belongs_to_its_volume(axis):
    film = Image(np.zeros((4, 8, 20, 30)), scale=(10, -3, 0.8, 0.7))
    shapes = new_boxes_layer(film)
    for t in (1, 3):
        shapes.add_rectangles(rectangle(Box2D(2, 3, 7, 6), Plane(axis, 5), 4, (t,)))
    assert drawn_boxes(shapes, film, axis, leading=(3,)) == [DrawnBox(1, 5, Box2D(2, 3, 7, 6))]
    assert drawn_boxes(shapes, film, axis, leading=(0,)) == []


def test_the_shape_that_is_being_drawn_is_the_last(image):
    shapes = new_boxes_layer(image)
    shapes.add_rectangles(rectangle(Box2D(2, 3, 7, 6), Plane(0, 5)))
    shapes.add_rectangles(rectangle(Box2D(4, 9, 17, 16), Plane(0, 5)))
    assert drawn_last(shapes, image, 0) is None
    shapes._is_creating = True
    drawn = drawn_last(shapes, image, 0)
    assert (drawn.index, drawn.box) == (5, Box2D(4, 9, 17, 16))
    assert drawn_last(shapes, image, 1) is None


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
    assert number_boxes(shapes, 1) == [0, 0]


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
    for y in (1, 5, 9):
        shapes.add_rectangles(rectangle(Box2D(y, 3, y + 3, 6), Plane(0, 5)))
    return shapes


def test_the_slices_that_a_file_names(image):
    shapes = three_boxes(image)
    assert {drawn.extent for drawn in drawn_boxes(shapes, image, 0)} == {None}
    shapes.features = {"label": [1] * 3, "first": [2, np.nan, 9], "last": ["6", 7, 3]}
    assert [drawn.extent for drawn in drawn_boxes(shapes, image, 0)] == [(2, 6), None, None]


drawn = st.builds(
    lambda number, axis, index, corner, size: KeyBox(
        number,
        axis,
        Box3D.from_plane(
            Box2D(*corner, corner[0] + size[0], corner[1] + size[1]), axis, index, index, index
        ),
    ),
    st.integers(1, 300),
    st.integers(0, 2),
    st.integers(0, 7),
    st.tuples(st.integers(0, 9), st.integers(0, 9)),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
)


@given(st.lists(drawn, max_size=6))
def test_key_boxes_come_back_from_the_layer_that_shows_them(boxes):
    image = Image(np.zeros((8, 20, 30), np.int16), scale=(3, -0.8, 0.7), translate=(5, 7, -2))
    shapes = new_boxes_layer(image)
    boxes_to_draw(boxes, 3).put_into(shapes)

    assert key_boxes(shapes, image) == boxes


def test_a_key_box_knows_its_volume_and_what_its_file_said_of_its_reach():
    film = Image(np.zeros((2, 8, 20, 30), np.int16))
    far = KeyBox(4, 0, Box3D(1, 2, 3, 6, 9, 9, key=2), (1,))
    near = KeyBox(4, 0, Box3D(3, 2, 3, 3, 9, 9, key=3), (0,))
    shapes = new_boxes_layer(film)
    boxes_to_draw([far, near], 4).put_into(shapes)

    assert key_boxes(shapes, film) == [far, near]


def test_clicks_lines_and_boxes_of_nobody_are_no_key_boxes():
    image = Image(np.zeros((8, 20, 30), np.int16))
    shapes = new_boxes_layer(image)
    shapes.add(np.array([[2, 3, 3], [2, 9, 9]]), shape_type="line")
    shapes.add_rectangles(np.array([[2, 3, 3], [2, 3, 3], [2, 3, 3], [2, 3, 3]], float))
    shapes.add_rectangles(np.array([[2, 3, 3], [2, 3, 9], [2, 9, 9], [2, 9, 3]], float))
    assert key_boxes(shapes, image) == []  # none has a number yet

    shapes.features = {"label": [1, 1, 1]}
    assert [b.box for b in key_boxes(shapes, image)] == [Box3D(2, 3, 3, 2, 9, 9, key=2)]
