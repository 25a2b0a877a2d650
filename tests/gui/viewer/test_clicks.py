import numpy as np
import pytest
from napari.layers import Image

from napari_medsam_lite.core.boxes import Box2D
from napari_medsam_lite.gui.viewer.box_layer import new_boxes_layer
from napari_medsam_lite.gui.viewer.clicks import drop_a_click, drop_clicks
from napari_medsam_lite.gui.viewer.drawn_boxes import rectangle
from napari_medsam_lite.gui.viewer.geometry import Plane


@pytest.fixture
def shapes():
    layer = new_boxes_layer(Image(np.zeros((8, 20, 30)), scale=(3, 0.8, 0.8)))
    layer.add_rectangles(rectangle(Box2D(1, 3, 4, 6), Plane(0, 5)))
    return layer


@pytest.mark.parametrize(
    ("height", "width", "stays"),
    [(0.2, 0.2, False), (0.2, 9, False), (9, 0.2, False), (5, 5, True)],
    ids=["a click", "a flat one", "a narrow one", "a box"],
)
def test_a_stray_click_makes_no_box(shapes, height, width, stays):
    y, x = 6.0, 7.0
    corners = [(5, y, x), (5, y, x + width), (5, y + height, x + width), (5, y + height, x)]
    shapes.add(np.array(corners, float), shape_type="rectangle")
    drop_a_click(shapes)
    assert shapes.nshapes == 1 + stays


def test_lines_drawn_by_hand_stay(shapes):
    shapes.add(np.array([(4, 1, 1), (4, 1, 5)]), shape_type="line")
    drop_a_click(shapes)
    assert shapes.nshapes == 2


def test_what_a_press_without_a_drag_left_is_removed(shapes):
    """napari fails between two slices, and leaves what it had begun."""
    side = shapes._normalized_vertex_radius / 2
    shapes.add_rectangles([[5, 2, 2], [5, 2, 2 + side], [5, 2 + side, 2 + side], [5, 2 + side, 2]])
    shapes.add(np.array([(5, 1, 1), (5, 1, 1 + side)]), shape_type="line")
    drop_clicks(shapes)
    assert list(shapes.shape_type) == ["rectangle", "line"]
    drop_clicks(shapes)
    assert shapes.nshapes == 2
