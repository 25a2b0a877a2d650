import pytest
from qtpy.QtCore import QEvent, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QApplication,
    QKeySequenceEdit,
    QLabel,
    QPushButton,
    QTableWidget,
    QWidget,
)

from napari_medsam_lite.gui.keys.card import KeysCard
from napari_medsam_lite.gui.keys.shortcuts import Action, Shortcuts

Key, Held = Qt.Key, Qt.KeyboardModifier


@pytest.fixture
def owner(qtbot):
    owner = QWidget()
    qtbot.addWidget(owner)
    return owner


@pytest.fixture
def shortcuts(owner):
    names = {"new_segment": ("Begin a new segment", "N"), "cancel": ("Halt the run", "H")}
    actions = [Action(name, text, key, lambda: None) for name, (text, key) in names.items()]
    return Shortcuts(owner, actions)


@pytest.fixture
def card(shortcuts, qtbot):
    card = KeysCard(shortcuts)
    qtbot.addWidget(card)
    card.show()
    qtbot.waitExposed(card)
    card.activateWindow()
    qtbot.waitUntil(lambda: QApplication.activeWindow() is card)
    return card


@pytest.fixture
def table(card):
    table = card.findChild(QTableWidget, "keys")
    table.setFocus()
    return table


def rows(table):
    return [(table.item(row, 0).text(), table.item(row, 1).text()) for row in range(2)]


def press(table, key, held=Held.NoModifier):
    """Press a key in the field that is open."""
    editor = table.findChild(QKeySequenceEdit)
    QTest.keyClick(editor, key, held)
    QTest.qWait(0)


def told(card):
    return card.findChild(QLabel, "keys_status").text()


def test_it_lists_every_action_and_does_not_stand_in_the_way(card, table):
    assert rows(table) == [("Begin a new segment", "N"), ("Halt the run", "H")]
    assert not card.isModal()
    assert card.minimumSizeHint().width() <= 320


def test_a_key_is_changed_by_the_keyboard_alone(card, table, shortcuts):
    QTest.keyClick(table, Key.Key_Return)
    press(table, Key.Key_N, Held.ShiftModifier)
    assert shortcuts.key_of("new_segment") == "Shift+N"
    assert rows(table)[0][1] == "Shift+N"
    QTest.keyClick(table, Key.Key_Down)
    QTest.keyClick(table, Key.Key_Delete)
    assert shortcuts.key_of("cancel") == ""


def test_a_key_is_changed_with_the_mouse(table, shortcuts):
    place = table.visualItemRect(table.item(1, 1)).center()
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=place)
    press(table, Key.Key_J)
    assert shortcuts.key_of("cancel") == "J"


def test_a_key_that_is_taken_is_told_and_not_shown(card, table, shortcuts):
    QTest.keyClick(table, Key.Key_Return)
    press(table, Key.Key_H)
    assert '"Halt the run"' in told(card)
    assert rows(table)[0][1] == "N"
    QTest.keyClick(table, Key.Key_Return)
    press(table, Key.Key_J)
    assert "Halt" not in told(card)


def test_escape_leaves_the_field_and_then_the_card(card, table, shortcuts):
    QTest.keyClick(table, Key.Key_Return)
    press(table, Key.Key_Escape)
    assert card.isVisible() and shortcuts.key_of("new_segment") == "N"
    QTest.keyClick(table, Key.Key_Escape)
    assert not card.isVisible()


def test_reset_gives_all_keys_back(card, table, shortcuts):
    shortcuts.change("cancel", "")
    QTest.mouseClick(card.findChild(QPushButton, "reset_keys"), Qt.MouseButton.LeftButton)
    assert rows(table)[1][1] == "H"


def test_what_was_wrong_with_the_stored_keys_is_said(shortcuts, qtbot):
    shortcuts.problem = "The changed keys cannot be read."
    card = KeysCard(shortcuts)
    qtbot.addWidget(card)
    assert told(card) == "The changed keys cannot be read."


def test_a_card_that_is_gone_hears_nothing(shortcuts, qtbot):
    card = KeysCard(shortcuts)
    card.deleteLater()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    shortcuts.change("cancel", "J")
    assert len(shortcuts.changed) == 0
