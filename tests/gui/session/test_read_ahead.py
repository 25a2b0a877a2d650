import threading
from types import SimpleNamespace

import pytest
from napari.utils.interactions import (
    mouse_move_callbacks,
    mouse_press_callbacks,
    mouse_release_callbacks,
)

from napari_medsam_lite.core.boxes import Box2D
from napari_medsam_lite.core.errors import BackendUnavailableError
from napari_medsam_lite.gui.session.read_ahead import SETTLED_MS
from napari_medsam_lite.gui.session.read_ahead_task import DrawnTask, ReadAheadTask

BOX = Box2D(4, 5, 12, 20)


def reads_ahead(session):
    """Whether it does; imports in idle time are another matter."""
    flight = session.runner._idle
    return flight is not None and isinstance(flight.task, ReadAheadTask)


@pytest.fixture
def after_a_run(session, viewer, image, draw, finish, segmenter):
    """A session that has segmented slice 4 and may read ahead."""
    viewer.dims.set_point(0, image.data_to_world((4, 0, 0))[0])
    viewer.layers.selection.active = draw(BOX)
    session.run_actions.segment_slice()
    finish()
    return session


def test_it_starts_after_a_run_from_the_slice_shown(after_a_run, segmenter, qtbot):
    qtbot.waitUntil(lambda: after_a_run.state.ahead != "")
    assert segmenter.encoded == [4]
    qtbot.waitUntil(lambda: after_a_run.state.ahead == "Reading ahead: 8 of 8 slices are ready.")


def test_it_follows_the_slice_shown(after_a_run, viewer, image, segmenter, qtbot):
    viewer.dims.set_point(0, image.data_to_world((6, 0, 0))[0])
    qtbot.waitUntil(lambda: segmenter.encoded[-1:] == [6])


def test_it_rests_while_a_button_is_down(after_a_run, viewer, segmenter, qtbot):
    segmenter.ahead = threading.Semaphore(0)
    after_a_run.state.read_ahead = False
    after_a_run.state.read_ahead = True
    assert reads_ahead(after_a_run)
    before = segmenter.interrupted
    event = SimpleNamespace(type="mouse_press", modifiers=(), button=1)
    pressed = [each(viewer, event) for each in viewer.mouse_drag_callbacks]
    for each in pressed:
        next(each, None)
    assert not reads_ahead(after_a_run)
    assert segmenter.interrupted == before + 1
    viewer.dims.set_current_step(0, 2)
    assert not reads_ahead(after_a_run)
    event.type = "mouse_release"
    for each in pressed:
        next(each, None)
    qtbot.waitUntil(lambda: reads_ahead(after_a_run))
    segmenter.ahead.release(100)


def test_a_run_goes_first(after_a_run, segmenter, finish, qtbot):
    segmenter.ahead._value = 0
    after_a_run.state.read_ahead = False
    after_a_run.state.read_ahead = True
    before = len(after_a_run.state.history)
    segmenter.ahead.release()
    after_a_run.run_actions.segment_slice()
    segmenter.ahead.release()
    finish()
    assert len(after_a_run.state.history) == before + 1
    segmenter.ahead.release(100)


def test_it_starts_with_the_first_boxes(session, viewer, image, segmenter, finish, qtbot):
    viewer.dims.set_point(0, image.data_to_world((6, 0, 0))[0])
    segmenter.ahead = threading.Semaphore(0)
    session.run_actions.add_boxes()
    qtbot.waitUntil(lambda: segmenter.encoded == [6])
    qtbot.waitUntil(lambda: session.state.ahead == "The network is ready.")
    assert not session.state.busy
    segmenter.ahead.release(8)
    qtbot.waitUntil(lambda: session.state.ahead == "Reading ahead: 8 of 8 slices are ready.")


def test_loading_ahead_is_told_and_a_run_waits_for_it(
    session, viewer, image, segmenter, draw, finish, qtbot
):
    segmenter.loading = threading.Semaphore(0)
    session.run_actions.add_boxes()
    qtbot.waitUntil(lambda: session.state.ahead == "Compiling, once...")
    draw(BOX)
    viewer.dims.set_point(0, image.data_to_world((4, 0, 0))[0])
    session.run_actions.segment_slice()
    segmenter.loading.release(100)
    finish()
    assert session.state.history[0].ending == "finished"


def test_what_fails_ahead_is_told_by_the_run_alone(session, segmenter, image, draw, finish, qtbot):
    def refuse(progress=print, sides=()):
        progress("compiling, once")
        raise BackendUnavailableError("This preset cannot be built here.")

    segmenter.load = refuse
    session.run_actions.add_boxes()
    qtbot.waitUntil(lambda: session.state.ahead == "" and not reads_ahead(session))
    assert not session.state.is_problem
    draw(BOX)
    session.run_actions.segment_all()
    finish()
    assert session.state.message == "This preset cannot be built here."


def test_switched_off_nothing_is_loaded(session, image, segmenter, qtbot):
    session.state.read_ahead = False
    session.run_actions.add_boxes()
    qtbot.wait(50)
    assert segmenter.encoded == []
    assert not reads_ahead(session)


def test_before_the_first_boxes_nothing_is_read(session, viewer, image, draw, segmenter, qtbot):
    viewer.layers.selection.active = draw(BOX)
    viewer.dims.set_point(0, image.data_to_world((6, 0, 0))[0])
    qtbot.wait(50)
    assert segmenter.encoded == []
    assert not reads_ahead(session)


@pytest.mark.parametrize(
    "change",
    [
        lambda session, viewer: setattr(session.state, "window", "lung"),
        lambda session, viewer: setattr(session.state, "preset", "eager"),
        lambda session, viewer: setattr(session.state, "read_ahead", False),
        lambda session, viewer: setattr(
            viewer.layers.selection, "active", viewer.add_points(name="something else")
        ),
    ],
    ids=["window", "preset", "switched off", "another layer"],
)
def test_what_ends_it(after_a_run, viewer, image, segmenter, change, qtbot):
    qtbot.waitUntil(lambda: after_a_run.state.ahead != "")
    change(after_a_run, viewer)
    assert after_a_run.state.ahead == ""
    assert not reads_ahead(after_a_run)
    started = len(segmenter.encoded)
    viewer.dims.set_point(0, image.data_to_world((1, 0, 0))[0])
    qtbot.wait(30)
    assert len(segmenter.encoded) == started


def test_back_at_the_image_it_goes_on(after_a_run, viewer, image, segmenter, qtbot):
    viewer.layers.selection.active = viewer.add_points(name="something else")
    started = len(segmenter.encoded)
    viewer.layers.selection.active = image
    qtbot.waitUntil(lambda: len(segmenter.encoded) > started)


def test_a_run_interrupts_the_encoding_ahead(session, image, segmenter, draw, finish, qtbot):
    segmenter.ahead = threading.Semaphore(0)
    session.run_actions.add_boxes()
    draw(BOX)
    qtbot.waitUntil(lambda: session.state.ahead == "The network is ready.")
    session.run_actions.segment_all()
    assert segmenter.interrupted == 1
    segmenter.ahead.release(100)
    finish()
    assert session.state.history[0].ending == "finished"


@pytest.fixture
def mouse(viewer, session, image, segmenter, qtbot):
    """Draws a box on slice 6 with napari's own tool, from (2, 3) to the places it is moved to."""
    session.state.live, session.state.detail = True, "close"
    viewer.dims.set_point(0, image.data_to_world((6, 0, 0))[0])
    session.run_actions.add_boxes()
    qtbot.waitUntil(lambda: session.state.ahead != "")
    event = SimpleNamespace(
        button=1,
        modifiers=(),
        is_dragging=True,
        handled=False,
        dims_displayed=[1, 2],
        view_direction=None,
    )

    def act(callbacks, kind, at):
        event.type, event.position = kind, image.data_to_world((6, *at))
        for each in (viewer, viewer.layers.selection.active):
            callbacks(each, event)

    def move(*at):
        for _ in range(2):  # for napari tells its viewer before it moves the corner
            act(mouse_move_callbacks, "mouse_move", at)

    return SimpleNamespace(
        press=lambda: act(mouse_press_callbacks, "mouse_press", (2, 3)),
        move=move,
        release=lambda: act(mouse_release_callbacks, "mouse_release", (2, 3)),
    )


def test_a_box_is_encoded_while_it_is_drawn(session, mouse, segmenter, runner, qtbot):
    mouse.press()
    mouse.move(12, 20)
    qtbot.waitUntil(lambda: len(segmenter.drawn) == 1)
    assert segmenter.live == [] and isinstance(runner._idle.task, DrawnTask)
    for look in segmenter.drawn[0]:
        rows, columns = (range(part.start, part.stop) for part in look.window)
        assert look.index == 6
        assert {2, 12} <= {*rows} and {3, 20} <= {*columns}


def test_what_the_finished_box_needs_is_not_cut_short(session, mouse, segmenter, qtbot):
    segmenter.gate._value = 0
    mouse.press()
    mouse.move(12, 20)
    qtbot.waitUntil(lambda: len(segmenter.drawn) == 1)
    before = segmenter.interrupted
    mouse.release()
    qtbot.waitUntil(lambda: session.runs.live.waits)
    assert segmenter.interrupted == before
    segmenter.gate.release(100)
    qtbot.waitUntil(lambda: not session.runs.live.waits)
    assert len(segmenter.drawn) == 1
    assert [index for index, _ in segmenter.live] == [6]


def test_what_the_box_needed_before_is_cut_short(session, mouse, segmenter, qtbot):
    segmenter.gate._value = 0
    mouse.press()
    mouse.move(13, 14)
    qtbot.waitUntil(lambda: len(segmenter.drawn) == 1)
    mouse.move(18, 28)
    before = segmenter.interrupted
    mouse.release()
    qtbot.waitUntil(lambda: session.runs.live.waits)
    assert segmenter.interrupted == before + 1
    segmenter.gate.release(100)
    qtbot.waitUntil(lambda: not session.runs.live.waits)
    assert [index for index, _ in segmenter.live] == [6]


def test_a_box_is_not_encoded_twice(mouse, segmenter, qtbot):
    mouse.press()
    mouse.move(12, 20)
    qtbot.waitUntil(lambda: len(segmenter.drawn) == 1)
    mouse.move(12, 20)
    qtbot.wait(SETTLED_MS + 30)
    assert len(segmenter.drawn) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda session, viewer: setattr(session.state, "read_ahead", False),
        lambda session, viewer: setattr(session.state, "window", "lung"),
        lambda session, viewer: setattr(viewer.layers.selection.active, "mode", "add_line"),
    ],
    ids=["switched off", "another window", "a line"],
)
def test_of_what_is_drawn_nothing_is_encoded(session, viewer, mouse, segmenter, change, qtbot):
    change(session, viewer)
    mouse.press()
    mouse.move(12, 20)
    mouse.release()
    qtbot.wait(SETTLED_MS + 30)
    assert segmenter.drawn == []


def test_a_dock_that_closes_meanwhile_encodes_nothing(session, mouse, segmenter, runner, qtbot):
    mouse.press()
    mouse.move(12, 20)
    session.close()
    qtbot.wait(SETTLED_MS + 30)
    assert segmenter.drawn == [] and not runner.idling


def test_what_lies_outside_the_image_does_not_count(mouse, segmenter, qtbot):
    mouse.press()
    mouse.move(40, 50)
    qtbot.waitUntil(lambda: len(segmenter.drawn) == 1)
    (first, _) = segmenter.drawn[0]
    mouse.move(19, 29)
    qtbot.wait(SETTLED_MS + 30)
    assert len(segmenter.drawn) == 1
    assert (first.frame.height, first.frame.width) == (20, 30)
    mouse.release()
