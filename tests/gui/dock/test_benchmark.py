import json
import threading
import time

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

from napari_medsam_lite.benchmark.report import BenchReport
from napari_medsam_lite.benchmark.speed import BatchTime
from napari_medsam_lite.gui.dock.benchmark import BenchmarkWidget
from napari_medsam_lite.gui.thread.task import Task


@pytest.fixture
def open_widget(qtbot, runner):
    dock = QWidget()
    qtbot.addWidget(dock)
    opened = []

    def make(measure):
        widget = BenchmarkWidget(None, measure, runner)
        qtbot.addWidget(widget)
        widget.setParent(dock)
        opened.append(widget)
        return widget

    yield make
    for widget in opened:
        widget.setParent(None)


def quick(**choices):
    yield f"measuring {', '.join(choices['presets'])}"
    yield BenchReport(1, choices["workers"], choices["runs"], [BatchTime("sdpa", [2.0], 100)])


def press(widget, name):
    getattr(widget, f"_{name}").changed.emit(True)


def test_tables_are_shown_and_saved(open_widget, qtbot, tmp_path):
    widget = open_widget(quick)
    press(widget, "start")
    assert not widget._start.enabled
    qtbot.waitUntil(lambda: widget._status.value == "Done.")
    assert "sdpa" in widget._tables.toPlainText()
    assert widget._start.enabled
    assert widget._save.enabled
    widget.save(tmp_path)
    assert json.loads((tmp_path / "bench.json").read_text())["batch"][0]["mean_seconds"] == 2


def test_a_folder_without_cases_is_told(open_widget, tmp_path):
    widget = open_widget(quick)
    widget._folder.value = tmp_path
    press(widget, "start")
    assert "is no folder with files" in widget._status.value
    assert widget._start.enabled


def test_the_files_of_a_folder_are_measured(open_widget, qtbot, tmp_path):
    (tmp_path / "case.npz").write_bytes(b"")
    seen = []
    widget = open_widget(lambda **choices: seen.append(choices) or iter(()))
    widget._folder.value = tmp_path
    press(widget, "start")
    qtbot.waitUntil(lambda: bool(seen) and widget._start.enabled)
    assert seen[0]["files"] == (tmp_path / "case.npz",)


def test_cancel_keeps_what_was_measured(open_widget, qtbot):
    def endless(**_):
        yield BenchReport(1, 1, 1, [BatchTime("eager", [1.0])])
        while True:
            time.sleep(0.001)
            yield "eager, run 2"

    widget = open_widget(endless)
    press(widget, "start")
    qtbot.waitUntil(lambda: widget._report is not None)
    press(widget, "cancel")
    assert "Cancelled" in widget._status.value
    assert widget._save.enabled


def test_no_preset(open_widget):
    widget = open_widget(quick)
    widget._presets.value = []
    press(widget, "start")
    assert "at least one" in widget._status.value


def test_it_does_not_compute_beside_another_docks_job(open_widget, runner, qtbot):
    class Endless(Task):
        def work(self):
            while True:
                yield 1

    job = Endless()
    runner.start(job)
    widget = open_widget(quick)
    press(widget, "start")
    assert "A run is in progress" in widget._status.value
    assert widget._start.enabled
    runner.cancel(job)
    press(widget, "start")
    qtbot.waitUntil(lambda: widget._status.value == "Done.")


def test_a_new_start_tells_what_it_waits_for(open_widget, qtbot):
    held = threading.Semaphore(0)

    def slow(**_):
        yield "timing attention alone"
        held.acquire()
        yield "never shown"

    widget = open_widget(slow)
    press(widget, "start")
    assert widget._status.value == "Starting..."
    qtbot.waitUntil(lambda: widget._status.value == "timing attention alone")
    press(widget, "cancel")
    press(widget, "start")
    assert "Waiting for the last step" in widget._status.value
    held.release(2)
    qtbot.waitUntil(lambda: widget._status.value == "Done.")


def test_a_window_that_is_destroyed_ends_the_work(qtbot, runner):
    """Then Qt does not tell the dock that it is left."""
    begun, ended = threading.Event(), threading.Event()

    def endless(**_):
        try:
            while True:
                begun.set()
                time.sleep(0.001)
                yield "eager, run 2"
        finally:
            ended.set()

    window = QMainWindow()
    dock = QDockWidget(window)
    widget = BenchmarkWidget(None, endless, runner)
    dock.setWidget(widget)
    window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
    press(widget, "start")
    assert begun.wait(5)
    window.deleteLater()
    del window, dock, widget
    qtbot.waitUntil(ended.is_set)
    assert not runner.busy
