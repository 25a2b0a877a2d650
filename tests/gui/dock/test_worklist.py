import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractButton, QLabel, QLineEdit, QTreeWidget

from napari_medsam_lite.gui.dock.worklist import WorklistView
from napari_medsam_lite.io.formats import read_volume, write_labels
from napari_medsam_lite.io.worklist import read_worklist

SHAPE = (4, 20, 30)


@pytest.fixture
def cases(tmp_path, own_cache):
    for name in "abc":
        data = np.random.default_rng(ord(name)).integers(0, 200, SHAPE, np.uint8)
        np.savez(tmp_path / f"{name}.npz", imgs=data, spacing=[5.0, 1, 1])
    return read_worklist(tmp_path)


@pytest.fixture
def view(qtbot, session, cases, tmp_path):
    session.state.read_ahead = False
    view = WorklistView(session)
    qtbot.addWidget(view)
    return view


@pytest.fixture
def opened(view, session, finish, tmp_path):
    """The view with the folder open."""
    session.worklist.open(tmp_path)
    finish()
    return view


def rows(view):
    table = view.findChild(QTreeWidget, "worklist")
    items = [table.topLevelItem(i) for i in range(table.topLevelItemCount())]
    return [[item.text(column) for column in range(3)] for item in items]


@pytest.fixture
def press(view, qtbot):
    """Press a button as soon as it can be pressed."""

    def press(view, name):
        button = view.findChild(QAbstractButton, name)
        qtbot.waitUntil(button.isEnabled)
        button.click()

    return press


def is_enabled(view, name):
    return view.findChild(QAbstractButton, name).isEnabled()


def test_without_a_worklist_one_can_be_opened(view):
    assert rows(view) == []
    for name in ("next_case", "previous_case", "mark_done", "mark_review"):
        assert not is_enabled(view, name)
    assert is_enabled(view, "open_worklist")
    assert is_enabled(view, "open_list")
    assert view.findChild(QLabel, "worklist_progress").text() == ""


def test_folders_and_lists_are_asked_for(view, session, finish, tmp_path, monkeypatch, press):
    dialog = "napari_medsam_lite.gui.dock.worklist.QFileDialog"
    monkeypatch.setattr(f"{dialog}.getExistingDirectory", lambda *_: str(tmp_path))
    press(view, "open_worklist")
    finish()
    assert len(session.worklist.state.rows) == 3
    (tmp_path / "few.txt").write_text("c.npz\n")
    monkeypatch.setattr(f"{dialog}.getOpenFileName", lambda *_: (str(tmp_path / "few.txt"), ""))
    press(view, "open_list")
    finish()
    assert [row.case.name for row in session.worklist.state.rows] == ["c"]


def test_the_table_tells_status_and_who(opened, qtbot, session, cases, finish, press):
    me = cases[0].holder().who
    qtbot.waitUntil(lambda: len(rows(opened)) == 3)
    assert rows(opened) == [["a", "○ new", me], ["b", "○ new", ""], ["c", "○ new", ""]]
    write_labels(cases[2].labels, np.zeros(SHAPE, np.uint8), read_volume(cases[2].source))
    press(opened, "mark_done")
    finish()
    session.worklist.step(1)
    finish()
    wanted = [["a", "● done", me], ["b", "○ new", ""], ["c", "◌ new", me]]
    qtbot.waitUntil(lambda: rows(opened) == wanted)
    assert opened.findChild(QLabel, "worklist_progress").text() == "1 of 3 done"
    table = opened.findChild(QTreeWidget, "worklist")
    assert "First answers are there." in table.topLevelItem(2).toolTip(0)
    press(opened, "not_done_only")
    assert [row[0] for row in rows(opened)] == ["b", "c"]


def test_a_row_that_is_activated_is_opened(opened, qtbot, session, finish, press):
    qtbot.waitUntil(lambda: len(rows(opened)) == 3)
    table = opened.findChild(QTreeWidget, "worklist")
    table.itemActivated.emit(table.topLevelItem(2), 0)
    finish()
    assert session.worklist.state.current == 2
    press(opened, "previous_case")
    finish()
    assert session.worklist.state.current == 1
    press(opened, "next_case")
    finish()
    assert session.worklist.state.current == 2


def test_a_note_is_written_and_shown(opened, qtbot, cases, session, finish, press):
    note = opened.findChild(QLineEdit, "case_note")
    qtbot.waitUntil(note.isEnabled)
    note.setText("which side?")
    note.editingFinished.emit()
    assert cases[0].status().note == "which side?"
    press(opened, "mark_review")
    finish()
    qtbot.waitUntil(lambda: note.text() == "")
    assert cases[0].status().standing == "needs review"
    qtbot.waitUntil(lambda: rows(opened)[0][1] == "▲ needs review")


def test_a_colleague_s_case_cannot_be_marked(opened, qtbot, cases, session, finish, press):
    claim = cases[1].claim()
    press(opened, "next_case")
    finish()
    qtbot.waitUntil(lambda: not is_enabled(opened, "mark_done"))
    assert not opened.findChild(QLineEdit, "case_note").isEnabled()
    qtbot.waitUntil(lambda: is_enabled(opened, "next_case"))
    claim.release()


def test_it_is_readable_without_colours(opened, qtbot):
    qtbot.waitUntil(lambda: len(rows(opened)) == 3)
    table = opened.findChild(QTreeWidget, "worklist")
    assert table.topLevelItem(0).font(0).bold()
    assert not table.topLevelItem(1).font(0).bold()
    assert table.horizontalScrollBarPolicy() == Qt.ScrollBarPolicy.ScrollBarAlwaysOff
