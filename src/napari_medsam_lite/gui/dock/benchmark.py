"""BenchmarkWidget: ``medsam-lite bench`` inside napari, with progress and Cancel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magicgui.widgets import CheckBox, FileEdit, Label, Select, SpinBox
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QFileDialog, QTextBrowser, QVBoxLayout, QWidget

from napari_medsam_lite.acceleration.presets import PRESETS
from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.core.settings import AUTO
from napari_medsam_lite.gui.dock.arrange import group, side_by_side
from napari_medsam_lite.gui.dock.controls import button, named
from napari_medsam_lite.gui.thread.runner import JobRunner, shared_runner
from napari_medsam_lite.gui.thread.task import Ending, Task
from napari_medsam_lite.io.folders import list_cases

if TYPE_CHECKING:
    import napari.viewer

Measure = Callable[..., Iterator[Any]]
SUGGESTED = ("eager", "sdpa", "openvino")


def measure(**choices: Any) -> Iterator[Any]:
    """What is going on (str), and the report, more complete each time."""
    from napari_medsam_lite.benchmark.run import Plan
    from napari_medsam_lite.benchmark.run import measure as run

    return run(Plan(**choices))


class BenchmarkTask(Task):
    """One benchmark, told to the dock that started it."""

    def __init__(self, dock: BenchmarkWidget, measure: Measure, choices: dict[str, Any]) -> None:
        self._dock, self._measure, self._choices = dock, measure, choices

    def work(self) -> Iterator[Any]:
        """Measure, step by step."""
        return self._measure(**self._choices)

    def on_items(self, items: list[Any]) -> None:
        """Show what is going on, and the tables so far."""
        self._dock.show_items(items)

    def on_ended(self, ending: Ending) -> None:
        """Show the end."""
        self._dock.show_end(ending)


class _Stay:
    """A dock's time with the runner, and its task there."""

    def __init__(self, runner: JobRunner) -> None:
        self._runner = runner
        self._joined = False
        self.task: BenchmarkTask | None = None

    def begin(self) -> None:
        """The dock opens."""
        self._joined = True
        self._runner.join()

    def end(self) -> None:
        """The dock closes or is destroyed; its task is stopped."""
        if not self._joined:
            return
        self._joined = False
        if self.task is not None:
            self._runner.cancel(self.task)
        self._runner.leave()


class BenchmarkWidget(QWidget):  # type: ignore[misc]
    """Time the presets on this computer and compare their masks.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        Given by napari; nothing in it is changed.
    measure : callable, optional
        What measures; default the benchmark.
    runner : JobRunner, optional
        Who runs it; default the one that all docks share, so that nothing else computes meanwhile.
    """

    def __init__(
        self,
        napari_viewer: napari.viewer.Viewer,
        measure: Measure = measure,
        runner: JobRunner | None = None,
    ) -> None:
        super().__init__()
        self._measure = measure
        self._report: Any = None
        self._runner = runner or shared_runner()
        self._task: BenchmarkTask | None = None
        self._make_choices()
        self._status = named(
            Label(value="Takes minutes; use the computer little meanwhile."), "bench_status"
        )
        self._status.native.setWordWrap(True)
        self._start = button("bench_start", "Start", "Measure now.", self.start)
        self._cancel = button("bench_cancel", "Cancel", "Stop now.", self.cancel)
        self._save = button(
            "bench_save", "Save...", "Write the tables to a folder.", self._ask_save
        )
        self._tables = QTextBrowser()
        self._tables.setObjectName("bench_tables")
        self._arrange()
        self._docked = False
        self._stay = _Stay(self._runner)
        # Not a method of this object, which is half gone when the signal comes: where the whole
        # window is destroyed, Qt does not tell that the dock is left.
        self.destroyed.connect(self._stay.end)
        self._enable()

    def start(self) -> None:
        """Measure what is chosen."""
        settling = self._runner.settling
        try:
            task = BenchmarkTask(self, self._measure, self._choices())
            self._runner.start(task)
        except MedSAMLiteError as error:
            self._status.value = str(error)
        else:
            self._task = self._stay.task = task
            waiting = "Waiting for the last step of what was cancelled..."
            self._status.value = waiting if settling else "Starting..."
        self._enable()

    def cancel(self) -> None:
        """Stop; what was measured stays."""
        if self._task is not None:
            self._runner.cancel(self._task)

    def save(self, folder: str | Path) -> None:
        """Write bench.json, bench.md and bench.png into `folder`."""
        from napari_medsam_lite.benchmark.report import save_report

        try:
            save_report(self._report, folder)
            self._status.value = f"Saved in {folder}."
        except MedSAMLiteError as error:
            self._status.value = str(error)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802 - Qt's name
        """End the work when napari takes the widget out of its dock, as it does on close."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.ParentChange:
            if self.parent() is not None and not self._docked:
                self._stay.begin()
            elif self.parent() is None and self._docked:
                self._stay.end()
            self._docked = self.parent() is not None

    def _make_choices(self) -> None:
        self._folder = named(
            FileEdit(
                mode="d", nullable=True, tooltip="Cases with boxes or truth; none: the sample."
            ),
            "bench_input",
        )
        self._presets = named(
            Select(choices=[AUTO, *PRESETS], value=list(SUGGESTED), tooltip="What to compare."),
            "bench_presets",
        )
        self._runs = named(SpinBox(value=1, min=1, max=20, tooltip="Runs of each."), "bench_runs")
        self._workers = named(
            SpinBox(value=1, min=1, max=16, tooltip="Processes at the same time."), "bench_workers"
        )
        self._baseline = named(
            CheckBox(text="Published way too", tooltip="One encoding for every box and slice."),
            "bench_baseline",
        )

    def _arrange(self) -> None:
        layout = QVBoxLayout(self)
        layout.addWidget(
            group(
                "Benchmark",
                ("Cases", self._folder),
                ("Presets", self._presets),
                ("Runs", self._runs),
                ("Workers", self._workers),
                self._baseline,
                side_by_side(self._start, self._cancel, self._save),
                self._status,
            )
        )
        layout.addWidget(self._tables, 1)

    def _choices(self) -> dict[str, Any]:
        if not self._presets.value:
            raise MedSAMLiteError("Choose at least one preset.")
        return {
            "files": self._files(),
            "presets": tuple(self._presets.value),
            "runs": self._runs.value,
            "workers": self._workers.value,
            "baseline": self._baseline.value,
        }

    def _files(self) -> tuple[Path, ...]:
        """The cases of the folder, if one is chosen."""
        folder = self._folder.value
        if folder is None or str(folder) in ("", "."):
            return ()
        return tuple(list_cases(folder))

    def show_items(self, items: list[Any]) -> None:
        """Show what is going on (str), and the report so far."""
        for item in items:
            if isinstance(item, str):
                self._status.value = item
            else:
                self._report = item
        if any(not isinstance(item, str) for item in items):
            self._show_tables()

    def show_end(self, ending: Ending) -> None:
        """Show how the benchmark ended."""
        self._task = None
        words = {"finished": "Done.", "cancelled": "Cancelled; what was measured stays."}
        self._status.value = words.get(ending.how, ending.reason)
        self._enable()

    def _show_tables(self) -> None:
        from napari_medsam_lite.benchmark.report import to_markdown

        self._tables.setMarkdown(to_markdown(self._report))

    def _ask_save(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Save the benchmark in a folder")
        if folder:
            self.save(folder)

    def _enable(self) -> None:
        busy = self._task is not None
        self._start.enabled, self._cancel.enabled = not busy, busy
        self._save.enabled = self._report is not None and not busy
