"""The runs of this session, the latest first."""

from __future__ import annotations

from qtpy.QtWidgets import QAbstractItemView, QTreeWidget, QTreeWidgetItem

from napari_medsam_lite.gui.session.state import Run, SessionState

COLUMNS = ("Time", "Run", "Boxes", "Slices", "Seconds")


def history_list(state: SessionState) -> QTreeWidget:
    """A table of `state.history`; image, preset and device are in each line's tooltip."""
    table = QTreeWidget()
    table.setObjectName("history")
    table.setToolTip("The runs of this session, the latest first.")
    table.setHeaderLabels(COLUMNS)
    table.setRootIsDecorated(False)
    table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
    table.setMinimumHeight(90)

    def show(history: tuple[Run, ...]) -> None:
        table.clear()
        table.addTopLevelItems([_line(run) for run in history])
        for column in range(len(COLUMNS)):
            table.resizeColumnToContents(column)

    state.events.history.connect(show)
    show(state.history)
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
