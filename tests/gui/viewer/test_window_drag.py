from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from napari.components import ViewerModel

from napari_medsam_lite.gui.viewer.window_drag import PIXELS, WindowDrag, dragged


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def seen():
    return []


@pytest.fixture
def drag(viewer, seen):
    drag = WindowDrag(
        viewer,
        lambda: (40.0, 400.0),
        lambda *window: seen.append(("move", *window)),
        lambda *window: seen.append(("end", *window)),
    )
    drag.open()
    return drag


def event(kind, x=0, y=0, button=2, modifiers=("Shift",)):
    return SimpleNamespace(type=kind, pos=(x, y), button=button, modifiers=modifiers, handled=False)


def do(viewer, *events):
    """Hand events to the viewer's callbacks as napari does; whether the press was taken."""
    (callback,) = [c for c in viewer.mouse_drag_callbacks if c.__name__ == "_drag"]
    now = SimpleNamespace(**vars(events[0]))
    generator = callback(viewer, now)
    for each in events:
        vars(now).update(vars(each))
        next(generator, None)
    return generator


def test_right_widens_and_down_darkens(viewer, drag, seen):
    end = event("mouse_release", PIXELS, PIXELS / 2)
    do(viewer, event("mouse_press"), event("mouse_move", PIXELS, PIXELS / 2), end)
    assert seen == [("move", 240, 800), ("end", 240, 800)]


def test_a_press_alone_changes_nothing(viewer, drag, seen):
    do(viewer, event("mouse_press"), event("mouse_release"))
    assert seen == []


@pytest.mark.parametrize(
    "other", [{"button": 1}, {"modifiers": ()}, {"modifiers": ("Shift", "Alt")}]
)
def test_other_drags_are_napari_s(viewer, drag, seen, other):
    press = event("mouse_press", **other)
    do(viewer, press, event("mouse_move", 50, **other), event("mouse_release", 50, **other))
    assert seen == [] and not press.handled


def test_nothing_happens_without_a_window_or_after_close(viewer, drag, seen):
    before = len(viewer.mouse_drag_callbacks)
    drag.close()
    assert len(viewer.mouse_drag_callbacks) == before - 1
    none = WindowDrag(viewer, lambda: None, *[lambda *_: seen.append("no")] * 2)
    none.open()
    do(viewer, event("mouse_press"), event("mouse_move", 9), event("mouse_release", 9))
    assert seen == []


def test_the_active_layer_does_not_see_the_press_and_the_next_it_does(viewer, drag, qtbot):
    layer = viewer.add_shapes(ndim=2)
    layer.mode = "add_rectangle"
    before = list(layer.mouse_drag_callbacks)
    assert before
    do(viewer, event("mouse_press"))
    assert layer.mouse_drag_callbacks == []
    qtbot.waitUntil(lambda: layer.mouse_drag_callbacks == before)


@given(st.floats(-1000, 1000), st.floats(1e-3, 4000), st.floats(-500, 500), st.floats(-500, 500))
def test_a_drag_there_and_back_is_none(level, width, right, down):
    there = dragged((level, width), right, 0)
    assert there[1] > 0
    back = dragged(there, -right, 0)
    assert back == pytest.approx((level, width))
    down_and_up = dragged(dragged((level, width), 0, down), 0, -down)
    assert down_and_up == pytest.approx((level, width), abs=1e-6)
