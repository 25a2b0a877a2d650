import gc
import weakref

import pytest
from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QShortcut
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QApplication,
    QDockWidget,
    QLineEdit,
    QMainWindow,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_medsam_lite.core.errors import FileFormatError, MedSAMLiteError
from napari_medsam_lite.gui.keys.shortcuts import Action, Shortcuts, actions_of

Key, Held = Qt.Key, Qt.KeyboardModifier


@pytest.fixture
def done():
    return []


@pytest.fixture
def window(qtbot):
    window = QMainWindow()
    qtbot.addWidget(window)
    window.setCentralWidget(QPushButton("canvas"))
    return window


@pytest.fixture
def dock(window):
    dock = QWidget()
    layout = QVBoxLayout(dock)
    for part in (QPushButton("press"), QLineEdit(), QSpinBox()):
        layout.addWidget(part)
    return dock


@pytest.fixture
def actions(done):
    return [
        Action("new_segment", "Begin a new segment", "N", lambda: done.append("new")),
        Action("live", "Turn live answers on or off", "", lambda: done.append("live")),
        Action("show_keys", "Show all keys", "?", lambda: done.append("keys")),
    ]


@pytest.fixture
def shortcuts(dock, actions):
    shortcuts = Shortcuts(dock, actions)
    yield shortcuts
    shortcuts.close()


@pytest.fixture
def shown(window, dock, qtbot):
    """Put the dock in the window and show it."""
    holder = QDockWidget()
    holder.setWidget(dock)
    window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, holder)
    window.show()
    qtbot.waitExposed(window)
    window.activateWindow()
    qtbot.waitUntil(lambda: QApplication.activeWindow() is window)
    return holder


def in_window(window):
    return [shortcut.key().toString() for shortcut in window.findChildren(QShortcut)]


def type_into(widget, key=Key.Key_N, held=Held.NoModifier):
    widget.setFocus()
    QTest.keyClick(widget, key, held)


def test_a_key_works_wherever_the_focus_is(shortcuts, window, dock, shown, done):
    shortcuts.open()
    places = [window.centralWidget(), dock.findChild(QPushButton), dock.findChild(QSpinBox)]
    for place in places:
        type_into(place)
        assert done == ["new"]
        done.clear()


def test_a_text_field_and_a_number_keep_what_they_need(shortcuts, dock, shown, done):
    shortcuts.change("live", "8")
    shortcuts.open()
    text, number = dock.findChild(QLineEdit), dock.findChild(QSpinBox)
    type_into(text)
    assert text.text() == "n" and done == []
    number.setFocus()
    number.selectAll()
    QTest.keyClick(number, Key.Key_8)
    assert number.value() == 8 and done == []


def test_a_key_can_be_opened_before_the_dock_is_in_a_window(shortcuts, window, dock, request, done):
    shortcuts.open()
    request.getfixturevalue("shown")
    type_into(window.centralWidget())
    assert done == ["new"]


def test_nothing_happens_before_open_and_after_close(shortcuts, window, dock, shown, done):
    type_into(window.centralWidget())
    shortcuts.open()
    assert sorted(in_window(window)) == ["?", "N"]
    shortcuts.close()
    assert in_window(window) == []
    type_into(window.centralWidget())
    assert done == []
    shortcuts.open()
    type_into(window.centralWidget())
    assert done == ["new"]


def test_a_changed_key_works_and_the_old_one_does_not(shortcuts, window, shown, done):
    told = []
    shortcuts.changed.connect(lambda: told.append(shortcuts.key_of("new_segment")))
    shortcuts.open()
    shortcuts.change("new_segment", "Ctrl+Alt+Shift+7")
    type_into(window.centralWidget())
    assert done == []
    seven = Held.ControlModifier | Held.AltModifier | Held.ShiftModifier
    type_into(window.centralWidget(), Key.Key_7, seven)
    assert done == ["new"]
    shortcuts.change("new_segment", "")
    assert in_window(window) == ["?"]
    shortcuts.reset()
    assert told == ["Ctrl+Alt+Shift+7", "", "N"]
    assert sorted(in_window(window)) == ["?", "N"]


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ("?", 'is the key of "Show all keys"; give that another first.'),
        ("R", "belongs to napari"),
        ("Ctrl+Q", "belongs to the desktop"),
        ("Shift+Tab", "moves about in the window"),
        ("Shift", "not one key"),
    ],
)
def test_a_key_that_is_taken_is_refused_in_a_sentence(shortcuts, key, sentence):
    with pytest.raises(MedSAMLiteError, match=sentence.replace("?", r"\?")):
        shortcuts.change("new_segment", key)
    assert shortcuts.key_of("new_segment") == "N"


def test_only_changed_keys_are_kept_for_the_next_session(dock, actions, tmp_path):
    file = tmp_path / "keys.json"
    Shortcuts(dock, actions, file).change("live", "Shift+N")
    again = Shortcuts(dock, actions, file)
    assert again.key_of("live") == "Shift+N" and again.problem == ""
    assert "new_segment" not in file.read_text()
    again.reset()
    assert Shortcuts(dock, actions, file).key_of("live") == ""


@pytest.mark.parametrize("text", ["{", '{"live": "N"}'])
def test_a_file_that_cannot_be_used_leaves_the_defaults_and_a_word(dock, actions, tmp_path, text):
    file = tmp_path / "keys.json"
    file.write_text(text)
    shortcuts = Shortcuts(dock, actions, file)
    assert shortcuts.key_of("new_segment") == "N" and shortcuts.key_of("live") == ""
    assert shortcuts.problem.endswith("so all keys are as at first.")
    shortcuts.reset()
    assert shortcuts.problem == "" and Shortcuts(dock, actions, file).problem == ""


def test_what_an_older_or_newer_version_kept_does_no_harm(dock, actions, tmp_path):
    file = tmp_path / "keys.json"
    file.write_text('{"no_such_action": "N", "show_keys": "not a key"}')
    shortcuts = Shortcuts(dock, actions, file)
    assert shortcuts.problem == ""
    assert shortcuts.key_of("new_segment") == "N" and shortcuts.key_of("show_keys") == "?"


def test_a_full_disk_is_told_and_the_key_is_changed_nevertheless(
    dock, actions, tmp_path, full_disk
):
    shortcuts = Shortcuts(dock, actions, tmp_path / "keys.json")
    with full_disk(at=0), pytest.raises(FileFormatError):
        shortcuts.change("live", "Shift+N")
    assert shortcuts.key_of("live") == "Shift+N"


def test_the_keys_go_with_the_dock(shortcuts, window, dock, shown, done):
    shortcuts.open()
    dock.setParent(None)
    dock.deleteLater()
    for _ in range(2):
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert in_window(window) == []
    type_into(window.centralWidget())
    assert done == []
    shortcuts.close()  # must not fail on what is gone


def test_qt_keeps_nothing_of_ours_alive(window, actions):
    dock = QWidget(window)
    shortcuts = Shortcuts(dock, actions)
    shortcuts.open()
    gone = weakref.ref(shortcuts)
    del shortcuts
    gc.collect()
    assert gone() is None
    dock.setParent(None)


def test_actions_get_their_texts_and_keys_from_the_defaults(done):
    (action,) = actions_of({"cancel": lambda: done.append("cancel")})
    assert (action.name, action.key) == ("cancel", "H")
    assert action.text.startswith("Halt")
    action.do()
    assert done == ["cancel"]
