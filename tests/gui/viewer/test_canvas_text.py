import pytest
from napari.components import ViewerModel

from napari_medsam_lite.gui.viewer.canvas_text import CanvasText, _overlay


@pytest.fixture
def viewer():
    return ViewerModel()


def test_the_text_comes_and_goes(viewer):
    text, overlay = CanvasText(viewer), _overlay(viewer)
    text.show("L 40  W 400")
    assert (overlay.text, overlay.visible) == ("L 40  W 400", True)
    text.show("L 50  W 400")
    assert overlay.text == "L 50  W 400"
    text.show("")
    assert (overlay.text, overlay.visible) == ("", False)


def test_a_text_of_the_user_s_own_is_left_alone(viewer):
    text, overlay = CanvasText(viewer), _overlay(viewer)
    overlay.text, overlay.visible = "patient 7", True
    text.show("L 40  W 400")
    text.show("")
    assert (overlay.text, overlay.visible) == ("patient 7", True)


def test_a_text_that_the_user_wrote_over_ours_stays(viewer):
    text, overlay = CanvasText(viewer), _overlay(viewer)
    text.show("L 40  W 400")
    overlay.text = "patient 7"
    text.show("L 50  W 400")
    text.show("")
    assert (overlay.text, overlay.visible) == ("patient 7", True)


def test_nothing_is_touched_if_nothing_was_shown(viewer):
    text, overlay = CanvasText(viewer), _overlay(viewer)
    overlay.visible = True
    text.show("")
    assert (overlay.text, overlay.visible) == ("", True)
