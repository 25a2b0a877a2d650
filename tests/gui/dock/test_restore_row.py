import gc
import weakref
from types import SimpleNamespace

import pytest
from qtpy.QtWidgets import QLabel, QPushButton

from napari_medsam_lite.gui.dock.restore_row import RestoreRow
from napari_medsam_lite.gui.session.state import SessionState


@pytest.fixture
def pressed():
    return []


@pytest.fixture
def row(qtbot, pressed):
    actions = SimpleNamespace(
        restore=lambda: pressed.append("restore"),
        discard=lambda: pressed.append("discard"),
    )
    state = SessionState()
    row = RestoreRow(state, actions)
    row.state = state
    qtbot.addWidget(row)
    return row


def shown(row):
    named = [*row.findChildren(QLabel), *row.findChildren(QPushButton)]
    return {part.objectName() for part in named if not part.isHidden() and _inside(part, row)}


def _inside(part, row):
    parent = part.parentWidget()
    return parent is row or not parent.isHidden()


def test_it_is_there_only_where_there_is_something(row):
    assert row.isHidden()
    row.state.unsaved = "Unsaved work of 14:32 on this image: 3 segments."
    assert not row.isHidden()
    assert shown(row) == {"restore_told", "restore", "discard"}
    assert row.findChild(QLabel, "restore_told").text() == row.state.unsaved
    row.state.unsaved = ""
    assert row.isHidden()


def test_another_window_is_told_without_buttons(row):
    row.state.elsewhere = "Another window (process 12) has this image open."
    assert shown(row) == {"elsewhere"}
    row.state.unsaved = "Unsaved work."
    assert shown(row) == {"elsewhere", "restore_told", "restore", "discard"}


@pytest.mark.parametrize("name", ["restore", "discard"])
def test_a_press_is_handed_on(row, pressed, name):
    row.state.unsaved = "Unsaved work."
    row.findChild(QPushButton, name).click()
    assert pressed == [name]


def test_it_takes_no_more_width_than_there_is(row):
    row.state.unsaved = "Unsaved work of 14:32 on this image: 3 segments. " * 3
    assert row.minimumSizeHint().width() < 280


def test_a_state_does_not_keep_it(qtbot):
    state = SessionState()
    row = RestoreRow(state, SimpleNamespace(restore=None, discard=None))
    kept = weakref.ref(row)
    del row
    gc.collect()
    assert kept() is None
