"""The runs of this session, the latest first."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.gui.dock.controls import button, together
from napari_medsam_lite.gui.session.state import Run, SessionState
from napari_medsam_lite.io.runfile import save_run

COLUMNS = ("Time", "Run", "Boxes", "Slices", "s")


class HistoryView(QWidget):  # type: ignore[misc]
    """A table of `state.history`; image, preset and device are in each line's tooltip.

    The run file of the selected line can be saved: ``medsam-lite segment --run`` does it again.
    """

    def __init__(self, state: SessionState) -> None:
        super().__init__()
        self._state = state
        self._shown: tuple[Run, ...] = ()
        self._table = _table()
        self._save = button(
            "save_run",
            "Save run...",
            "Saves the selected run as a file; medsam-lite segment --run does it again.",
            self.ask_and_save,
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self._table, 1)
        layout.addWidget(self._save.native)
        self._table.itemSelectionChanged.connect(self._enable)
        state.events.history.connect(together(self._show, self))
        self._show()

    def ask_and_save(self) -> None:
        """Ask where to save the selected run, and save it."""
        path, _ = QFileDialog.getSaveFileName(
            self, "Save the run", "run.json", "Run files (*.json)"
        )
        if path:
            self.save(path)

    def save(self, path: str | Path) -> None:
        """Save the selected run; what goes wrong is told in the status line."""
        run = self._selected()
        if run is None or run.record is None or run.affine is None:
            return
        try:
            save_run(path, run.record, run.affine)
        except MedSAMLiteError as error:
            self._state.tell(str(error), problem=True)
        else:
            self._state.tell(f"The run was saved as {Path(path).name}.")

    def _selected(self) -> Run | None:
        chosen = self._table.selectedItems()
        return self._shown[self._table.indexOfTopLevelItem(chosen[0])] if chosen else None

    def _show(self) -> None:
        self._shown = self._state.history
        self._table.clear()
        self._table.addTopLevelItems([_line(run) for run in self._shown])
        for column in range(len(COLUMNS)):
            self._table.resizeColumnToContents(column)
        if self._shown:
            self._table.setCurrentItem(self._table.topLevelItem(0))
        self._enable()

    def _enable(self) -> None:
        run = self._selected()
        self._save.enabled = run is not None and run.record is not None


def _table() -> QTreeWidget:
    table = QTreeWidget()
    table.setObjectName("history")
    table.setToolTip("The runs of this session, the latest first.")
    table.setHeaderLabels(COLUMNS)
    table.setRootIsDecorated(False)
    table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    table.setMinimumHeight(90)
    return table


def _line(run: Run) -> QTreeWidgetItem:
    ending = "" if run.ending == "finished" else f", {run.ending}"
    item = QTreeWidgetItem(
        [
            f"{run.started:%H:%M:%S}",
            f"{run.kind}{ending}",
            str(run.boxes),
            str(run.slices),
            f"{run.seconds:.1f}",
        ]
    )
    hint = f"{run.image}: {run.kind}{ending}\n{run.preset} on {run.device}"
    for column in range(len(COLUMNS)):
        item.setToolTip(column, hint)
    return item
