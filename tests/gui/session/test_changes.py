import numpy as np
import pytest

from napari_medsam_lite.core.boxes import Box2D
from napari_medsam_lite.core.settings import Settings
from napari_medsam_lite.gui.session import changes as module
from napari_medsam_lite.gui.session.changes import Changes

BOX = Box2D(2, 3, 12, 14)


@pytest.fixture
def desk(session, image):
    session.state.autosave = False  # it would take what is looked for here
    session.layers.both_made(image)
    return session.desks.chosen()


@pytest.fixture
def changes(desk):
    return Changes(desk)


def paint(desk, qtbot, z, number=1):
    layer = desk.labels
    layer.brush_size = 1
    layer.paint((z, 5, 5), number)
    qtbot.wait(1)


def places(flush):
    return sorted(patch.place for patch in flush.patches)


def test_nothing_is_due_before_something_is_done(desk, changes):
    changes.note()
    assert changes.copy()
    assert changes.take(Settings()) is None
    assert not changes.begun


def test_the_first_change_brings_all_that_is_not_empty(desk, qtbot):
    desk.labels.data[6] = 3  # there from the start
    changes = Changes(desk)
    paint(desk, qtbot, 2)
    changes.note()
    assert changes.copy()
    flush = changes.take(Settings())
    assert places(flush) == [(2,), (6,)]
    assert flush.is_all
    assert flush.case.segmentation is desk.segmentation
    paint(desk, qtbot, 3)
    changes.note()
    changes.copy()
    later = changes.take(Settings())
    assert places(later) == [(3,)]
    assert later.patches[0].labels[5, 5] == 1
    assert later.patches[0].painted[5, 5]


def test_patches_are_copies(desk, changes, qtbot):
    paint(desk, qtbot, 2)
    changes.note()
    changes.copy()
    flush = changes.take(Settings())
    paint(desk, qtbot, 2, 0)
    assert flush.patches[0].labels[5, 5] == 1


def test_a_slice_that_became_empty_is_due_too(desk, changes, qtbot):
    for number in (1, 0):
        paint(desk, qtbot, 2, number)
        changes.note()
        changes.copy()
        flush = changes.take(Settings())
    assert places(flush) == [(2,)]
    assert not flush.patches[0].labels.any()


def test_what_takes_long_is_copied_in_parts(desk, changes, monkeypatch):
    desk.labels.data[:] = 1
    desk.masks.note((), range(8))
    changes.note()
    assert not changes.copy(-1.0)
    monkeypatch.setattr(module, "MOST_COPIED", 3)
    assert changes.copy()
    first = changes.take(Settings())
    assert (len(first.patches), first.is_all) == (3, False)
    monkeypatch.setattr(module, "MOST_COPIED", 300)
    assert changes.copy()
    second = changes.take(Settings())
    assert (len(second.patches), second.is_all) == (5, True)
    assert second.case is None


def test_what_could_not_be_written_is_due_as_it_is_by_then(desk, changes, qtbot):
    paint(desk, qtbot, 2)
    changes.note()
    changes.copy()
    flush = changes.take(Settings())
    paint(desk, qtbot, 2, 5)
    changes.give_back(flush)
    changes.note()
    changes.copy()
    again = changes.take(Settings())
    assert again.patches[0].labels[5, 5] == 5
    assert again.case is not None


def test_the_case_is_due_only_when_it_is_another(session, desk, changes, draw, qtbot):
    draw(BOX)
    changes.note()
    changes.copy()
    flush = changes.take(Settings())
    assert len(flush.case.boxes) == 1
    changes.note()
    assert changes.take(Settings()) is None
    session.segments.rename(1, "liver")
    changes.note()
    assert changes.take(Settings()).case.segmentation.get(1).name == "liver"


def test_the_version_is_another_after_every_change(session, desk, changes, draw, qtbot):
    seen = []
    for act in (
        lambda: draw(BOX),
        lambda: paint(desk, qtbot, 2),
        session.undo_actions.undo,
        lambda: None,
    ):
        act()
        changes.note()
        seen.append(changes.version)
    assert seen == [1, 2, 3, 3]


def test_once_saved_it_begins_with_the_next_change(session, desk, changes, draw, qtbot):
    draw(BOX)
    paint(desk, qtbot, 2)
    changes.note()
    changes.forget()
    changes.note()
    assert not changes.begun
    session.undo_actions.undo()
    changes.note()
    changes.copy()
    assert places(changes.take(Settings())) == [(2,)]


def test_runs_across_other_axes_are_noted_by_their_slices(session, desk, viewer, draw, finish):
    session.desks.chosen().masks.take_fresh()
    viewer.dims.order = (1, 0, 2)
    viewer.dims.set_current_step(1, 10)
    draw(Box2D(2, 3, 5, 14), axis=1, index=10)
    session.run_actions.segment_slice()
    finish()
    assert desk.masks.take_fresh() == {(z,) for z in range(2, 6)}
    np.testing.assert_array_equal(np.flatnonzero(desk.labels.data.any(axis=(1, 2))), range(2, 6))
