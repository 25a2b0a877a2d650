"""The table of runs: a line a run, sorted by any column."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from qtpy.QtCore import (
    QAbstractTableModel,
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QSize,
    Qt,
)
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTreeView

from napari_medsam_lite.io.history_entry import HistoryEntry, in_order

ROWS = 5


class Column(NamedTuple):
    """How a column is headed, sorted and filled, and from which width of the table it is shown."""

    head: str
    key: str
    text: Callable[[HistoryEntry], str]
    hint: str
    least_width: int = 0


def when(entry: HistoryEntry) -> str:
    """The local time, or for another day than today the date."""
    started = entry.started.astimezone()
    return f"{started:%H:%M}" if started.date() == datetime.now().date() else f"{started:%y-%m-%d}"


def _score(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


COLUMNS = (
    Column("Time", "time", when, "When it was started."),
    Column("Segment", "segments", lambda e: ", ".join(e.segments), "What was outlined."),
    Column("Image", "image", lambda e: e.image, "What it was outlined on.", 430),
    Column("Slices", "slices", lambda e: str(e.slices), "Slices that got an answer.", 320),
    Column("Preset", "preset", lambda e: e.preset, "What computed it.", 500),
    Column("s", "seconds", lambda e: f"{e.seconds:.1f}", "Seconds that it took."),
    Column("Score", "score", lambda e: _score(e.score), "The network's own mean estimate, 0 to 1."),
    Column("Ending", "ending", lambda e: e.ending, "How it ended.", 360),
)
NAME = 1


class RunsModel(QAbstractTableModel):  # type: ignore[misc]
    """Runs as Qt shows them: however many there are, only those in sight cost anything."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[HistoryEntry] = []
        self._given: Sequence[HistoryEntry] = ()
        self._order: tuple[int, bool] | None = None

    def put(self, entries: Sequence[HistoryEntry]) -> None:
        """Show these runs, in the order that was chosen."""
        self.beginResetModel()
        self._given, self.shown = entries, list(entries)
        if self._order is not None:
            column, descending = self._order
            self.shown = in_order(self.shown, COLUMNS[column].key, descending)
        self.endResetModel()

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column; by none, they stand as they were given."""
        descending = order == Qt.SortOrder.DescendingOrder
        self._order = (column, descending) if 0 <= column < len(COLUMNS) else None
        self.put(self._given)

    def rowCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802 - Qt's name
        """How many runs there are; a run has no rows of its own."""
        return 0 if parent is not None and parent.isValid() else len(self.shown)

    def columnCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802 - Qt's name
        """How many columns there are."""
        return 0 if parent is not None and parent.isValid() else len(COLUMNS)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """What is shown of a run in a column."""
        entry = self.shown[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return COLUMNS[index.column()].text(entry)
        if role == Qt.ItemDataRole.ToolTipRole:
            return told(entry)
        return None

    def headerData(  # noqa: N802 - Qt's name
        self,
        section: int,
        orientation: Qt.Orientation,
        role: int = Qt.ItemDataRole.DisplayRole,
    ) -> Any:
        """The head of a column, and what it means."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return COLUMNS[section].head
        return COLUMNS[section].hint if role == Qt.ItemDataRole.ToolTipRole else None


class RunsTable(QTreeView):  # type: ignore[misc]
    """The table ``history``."""

    def __init__(self, model: RunsModel) -> None:
        super().__init__()
        self.setObjectName("history")
        self.setToolTip("The runs of this and earlier sessions, the latest first.")
        self.setModel(model)
        self.setRootIsDecorated(False)
        self.setUniformRowHeights(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setStyleSheet("QTreeView::item { padding: 2px 0; }")
        self.setMinimumHeight(self.sizeHint().height())
        header = self.header()
        header.setStretchLastSection(False)
        header.setMinimumSectionSize(24)
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        header.setSortIndicatorClearable(True)
        self.setSortingEnabled(True)
        for column in range(len(COLUMNS)):
            fits = QHeaderView.ResizeMode.ResizeToContents
            stretches = QHeaderView.ResizeMode.Stretch
            header.setSectionResizeMode(column, stretches if column == NAME else fits)
        header.setResizeContentsPrecision(50)  # of thousands of runs, no more are measured

    def select(self, rows: Sequence[int]) -> None:
        """Select these rows, and no others."""
        chosen, model = QItemSelection(), self.model()
        for row in rows:
            index = model.index(row, 0)
            chosen.select(index, index)
        flags = QItemSelectionModel.SelectionFlag
        self.selectionModel().select(chosen, flags.ClearAndSelect | flags.Rows)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Room for the header and a few rows."""
        return QSize(280, (self.fontMetrics().lineSpacing() + 8) * (ROWS + 1) + 8)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """In a narrow dock names go first; each row's tooltip has all."""
        super().resizeEvent(event)
        width = self.viewport().width()
        for column, each in enumerate(COLUMNS):
            self.setColumnHidden(column, width < each.least_width)


def told(entry: HistoryEntry) -> str:
    """All that is known of a run without its record, for people."""
    scored = entry.score is not None and entry.worst is not None
    scores = f", score {entry.score:.2f}, the worst {entry.worst:.2f}" if scored else ""
    return (
        f"{entry.image}: {', '.join(entry.segments)}\n"
        f"{entry.started.astimezone():%Y-%m-%d %H:%M:%S}, {entry.kind}, {entry.ending}\n"
        f"{entry.boxes} boxes, {entry.slices} slices in {entry.seconds:.1f} s{scores}\n"
        f"{entry.preset} on {entry.device}"
    )
