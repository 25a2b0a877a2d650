from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QAbstractButton, QFileDialog, QTreeView, QWidget

from napari_medsam_lite.core.boxes import Box2D, Box3D
from napari_medsam_lite.core.settings import Settings
from napari_medsam_lite.gui.dock import history as view_module
from napari_medsam_lite.gui.dock.history import HistoryView
from napari_medsam_lite.gui.dock.history_table import COLUMNS, when
from napari_medsam_lite.gui.dock.segment import MedSAMLiteWidget
from napari_medsam_lite.gui.viewer.drawn_boxes import rectangle
from napari_medsam_lite.gui.viewer.geometry import Plane
from napari_medsam_lite.gui.viewer.image_layers import fingerprint_of_image
from napari_medsam_lite.io.history import History
from napari_medsam_lite.io.history_entry import HistoryEntry
from napari_medsam_lite.io.overlay import to_png
from napari_medsam_lite.io.runfile import load_run

PNG = to_png(np.full((200, 400, 3), 90, np.uint8))


@pytest.fixture
def widget(qtbot, viewer, engine):
    widget = MedSAMLiteWidget(viewer, engine)
    qtbot.addWidget(widget)
    yield widget
    widget.session.close()


@pytest.fixture
def boxed(widget, image, viewer):
    """The widget with an image and a box on slice 4, which is not answered live."""
    widget.state.live = False
    part(widget, "add_boxes", QAbstractButton).click()
    viewer.layers["CT boxes"].add_rectangles(rectangle(Box2D(2, 3, 7, 6), Plane(0, 4)))
    viewer.dims.set_current_step(0, 4)
    return widget


def part(widget, name, kind=QWidget):
    (found,) = widget.findChildren(kind, name)
    return found


def entry(image, **fields):
    given = {"kind": "volume", "preset": "sdpa", "device": "cpu", **fields}
    return HistoryEntry(image, given.pop("fingerprint", "f"), **given)


@pytest.fixture
def runs():
    """Three runs of an earlier session, in the order of adding."""
    runs = [
        entry("CT liver", segments=("liver",), seconds=2.0, score=0.9, worst=0.4, id="a"),
        entry("CT spleen", segments=("spleen",), seconds=9.0, score=0.5, worst=0.5, id="b"),
        entry("MR", seconds=1.0, ending="failed", id="c"),
    ]
    for run in runs:
        History().add(run, PNG if run.score else b"")
    return runs


@pytest.fixture
def view(widget, runs, qtbot):
    """The view of those runs, shown."""
    view = widget.findChild(HistoryView)
    widget.session.history.look()
    qtbot.waitUntil(lambda: shown(view) == ["MR", "CT spleen", "CT liver"])
    return view


def shown(view):
    model = part(view, "history", QTreeView).model()
    return [each.image for each in model.shown]


def click(view, name):
    part(view, name, QAbstractButton).click()


def choose(view, *rows):
    part(view, "history", QTreeView).select(rows)


def test_earlier_runs_are_read_when_somebody_looks(widget, runs, qtbot):
    widget.show()
    qtbot.wait(350)
    assert widget.state.history == ()
    widget.findChild(QWidget, "history_part").expand(animate=False)
    qtbot.waitUntil(lambda: len(widget.state.history) == 3)


def test_the_latest_run_is_first(boxed, qtbot):
    for name in ("segment_slice", "segment_volume"):
        part(boxed, name, QAbstractButton).click()
        qtbot.waitUntil(lambda: not boxed.state.busy)
    model = part(boxed, "history", QTreeView).model()
    qtbot.waitUntil(lambda: model.rowCount() == 2)
    texts = [[model.data(model.index(row, i)) for i in range(len(COLUMNS))] for row in range(2)]
    assert [row[3] for row in texts] == ["8", "1"]
    assert texts[0][1:3] + texts[0][4:5] + texts[0][6:] == [
        "Segment 1", "CT", "sdpa", "0.90", "finished",
    ]  # fmt: skip
    hint = model.data(model.index(0, 0), Qt.ItemDataRole.ToolTipRole)
    assert "sdpa on a fake CPU" in hint
    assert "1 boxes, 8 slices" in hint


def test_runs_are_sorted_by_a_click_and_stay_selected(view):
    table = part(view, "history", QTreeView)
    choose(view, 2)
    table.sortByColumn(5, Qt.SortOrder.AscendingOrder)
    assert shown(view) == ["MR", "CT liver", "CT spleen"]
    assert [each.image for each in view.selected] == ["CT liver"]
    table.sortByColumn(5, Qt.SortOrder.DescendingOrder)
    assert shown(view) == ["CT spleen", "CT liver", "MR"]
    assert [each.image for each in view.selected] == ["CT liver"]
    table.sortByColumn(-1, Qt.SortOrder.AscendingOrder)
    assert shown(view) == ["MR", "CT spleen", "CT liver"]


def test_runs_are_filtered_by_words(view, qtbot):
    part(view, "history_filter").setText("ct SPLEEN")
    qtbot.waitUntil(lambda: shown(view) == ["CT spleen"])
    part(view, "history_filter").setText("")
    qtbot.waitUntil(lambda: len(shown(view)) == 3)


def test_the_runs_on_this_image_only(view, viewer, image, qtbot):
    History().add(entry("renamed since", fingerprint=fingerprint_of_image(image)))
    view._session.history.look()
    qtbot.waitUntil(lambda: len(shown(view)) == 4)
    click(view, "history_this_image")
    assert shown(view) == ["renamed since"]
    viewer.layers.remove(image)
    qtbot.waitUntil(lambda: shown(view) == [])


def test_the_picture_of_the_run_that_is_selected(view, qtbot):
    picture, below = part(view, "history_picture"), part(view, "go_to")
    choose(view, 1)
    qtbot.waitUntil(lambda: not picture.isHidden())
    view.window().show()
    part(view.window(), "history_part").expand(animate=False)
    for width in (400, 300):
        view.window().resize(width, 700)
        qtbot.waitUntil(lambda: picture.pixmap().width() == picture.width())
        assert picture.height() == pytest.approx(picture.width() / 2, abs=1)
        # Nothing lies on the picture.
        qtbot.waitUntil(lambda: below.mapTo(view, QPoint()).y() >= picture.geometry().bottom())
    choose(view, 0)
    qtbot.waitUntil(picture.isHidden)


def test_only_what_can_be_done_is_offered(view):
    one = [
        part(view, n, QAbstractButton) for n in ("go_to", "run_again", "save_picture", "save_run")
    ]
    delete = part(view, "delete_run", QAbstractButton)
    assert all(each.isEnabled() for each in (*one, delete)), "the first is selected"
    choose(view, 0, 1)
    assert not any(each.isEnabled() for each in one)
    assert delete.isEnabled()
    choose(view)
    assert not delete.isEnabled()


def test_deleting_asks_once_and_can_be_undone(view, monkeypatch, qtbot):
    questions, answer = [], [False]

    def ask(owner, question):
        questions.append(question)
        return answer[0]

    monkeypatch.setattr(view_module, "ask", ask)
    row = part(view, "undo_delete").parentWidget()
    choose(view, 0, 2)
    click(view, "delete_run")
    assert questions == ["Delete these 2 runs from the history, with the pictures?"]
    assert len(shown(view)) == 3
    answer[0] = True
    click(view, "delete_run")
    qtbot.waitUntil(lambda: shown(view) == ["CT spleen"])
    qtbot.waitUntil(lambda: not row.isHidden())
    assert [each.image for each in view.selected] == ["CT spleen"]
    qtbot.waitUntil(lambda: [each.id for each in History().entries()] == ["b"])
    click(view, "undo_delete")
    qtbot.waitUntil(lambda: len(shown(view)) == 3)
    qtbot.waitUntil(row.isHidden)
    qtbot.waitUntil(lambda: len(History().entries()) == 3)


def test_a_run_is_saved_and_read_again(boxed, qtbot, tmp_path):
    save = part(boxed, "save_run", QAbstractButton)
    assert not save.isEnabled()
    boxed.state.overlap = "keep"
    part(boxed, "segment_volume", QAbstractButton).click()
    qtbot.waitUntil(save.isEnabled)
    (view,) = boxed.findChildren(HistoryView)
    view.save_run(tmp_path / "run.json")
    record = load_run(tmp_path / "run.json")
    assert record.boxes == (Box3D(0, 2, 3, 7, 7, 6, key=4),)
    assert record.settings == Settings(preset="sdpa", device="cpu", overlap="keep")
    assert (record.input, record.ids, record.ending) == ("CT", (1,), "finished")
    view.save_run(tmp_path / "nowhere" / "run.json")
    assert boxed.state.is_problem
    assert "its folder does not exist" in boxed.state.message


def test_what_is_saved_is_the_run_that_the_table_shows(boxed, qtbot, tmp_path):
    """A run that has just ended is in the history before it is in the table."""
    save = part(boxed, "save_run", QAbstractButton)
    part(boxed, "segment_volume", QAbstractButton).click()
    qtbot.waitUntil(save.isEnabled)
    (run,) = boxed.state.history
    boxed.state.history = (replace(run, id="new", record=None), run)
    (view,) = boxed.findChildren(HistoryView)
    view.save_run(tmp_path / "run.json")
    assert load_run(tmp_path / "run.json").ids == (1,)


@pytest.mark.parametrize(
    ("name", "chosen", "what"),
    [("a", "A montage of many slices (*.png)", "montage"), ("b.PNG", "", "slice")],
)
def test_one_dialog_asks_for_file_and_kind(view, monkeypatch, tmp_path, name, chosen, what):
    wanted = []
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / name), chosen))
    monkeypatch.setattr(view._session.past_runs, "save_picture", lambda *a: wanted.append(a))
    click(view, "save_picture")
    path = tmp_path / (name if "." in name else f"{name}.png")
    assert wanted == [(view.selected[0], path, what)]


def test_thousands_of_runs_are_shown_at_once(widget, qtbot):
    widget.state.history = tuple(entry(f"CT {number}") for number in range(10_000))
    view = widget.findChild(HistoryView)
    qtbot.waitUntil(lambda: len(shown(view)) == 10_000)
    part(view, "history", QTreeView).sortByColumn(2, Qt.SortOrder.DescendingOrder)
    assert shown(view)[0] == "CT 9999"


def test_today_is_told_by_the_hour_and_other_days_by_the_date():
    now = datetime.now(UTC)
    assert when(entry("a", started=now)) == f"{now.astimezone():%H:%M}"
    long_ago = datetime(2020, 5, 6, 12, tzinfo=UTC)
    assert when(entry("a", started=long_ago)) == "20-05-06"
    assert when(entry("a", started=now + timedelta(days=9000))).count("-") == 2


def test_it_is_narrow(view, qtbot):
    assert view.minimumSizeHint().width() <= 280
    assert view.window().minimumSizeHint().width() <= 280
    view.window().show()
    view.window().resize(300, 700)
    table = part(view, "history", QTreeView)
    hidden = {"Image", "Slices", "Preset", "Ending"}
    qtbot.waitUntil(
        lambda: {each.head for i, each in enumerate(COLUMNS) if table.isColumnHidden(i)} == hidden
    )
