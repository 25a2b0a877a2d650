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
from napari_medsam_lite.gui.thread.runner import Ending, JobRunner
from napari_medsam_lite.io.formats import list_cases

if TYPE_CHECKING:
    import napari.viewer

Measure = Callable[..., Iterator[Any]]
SUGGESTED = ("eager", "sdpa", "openvino")


def measure(**choices: Any) -> Iterator[Any]:
    """What is going on (str), and the report, more complete each time."""
    from napari_medsam_lite.benchmark.run import Plan
    from napari_medsam_lite.benchmark.run import measure as run

    return run(Plan(**choices))


class BenchmarkWidget(QWidget):  # type: ignore[misc]
    """Time the presets on this computer and compare their masks.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        Given by napari; nothing in it is changed.
    measure : callable, optional
        What measures; default the benchmark.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer, measure: Measure = measure) -> None:
        super().__init__()
        self._measure = measure
        self._report: Any = None
        self._runner = JobRunner()
        self._runner.yielded.connect(self._on_items)
        self._runner.ended.connect(self._on_ended)
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
        self._status = named(
            Label(value="Takes minutes; use the computer little meanwhile."), "bench_status"
        )
        self._status.native.setWordWrap(True)
        self._start = button("bench_start", "Start", "Measure now.", self.start)
        self._cancel = button("bench_cancel", "Cancel", "Stop now.", self._runner.cancel)
        self._save = button(
            "bench_save", "Save...", "Write the tables to a folder.", self._ask_save
        )
        self._tables = QTextBrowser()
        self._tables.setObjectName("bench_tables")
        self._arrange()
        self._docked = False
        self.destroyed.connect(self._runner.close)
        self._enable()

    def start(self) -> None:
        """Measure what is chosen."""
        try:
            choices = self._choices()
            self._runner.start(lambda: self._measure(**choices))
        except MedSAMLiteError as error:
            self._status.value = str(error)
        self._enable()

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
            if self._docked and self.parent() is None:
                self._runner.close()
            self._docked = self.parent() is not None

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

    def _on_items(self, items: list[Any]) -> None:
        for item in items:
            if isinstance(item, str):
                self._status.value = item
            else:
                self._report = item
        if any(not isinstance(item, str) for item in items):
            self._show_tables()

    def _on_ended(self, ending: Ending) -> None:
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
        self._start.enabled = not self._runner.busy
        self._cancel.enabled = self._runner.busy
        self._save.enabled = self._report is not None and not self._runner.busy
