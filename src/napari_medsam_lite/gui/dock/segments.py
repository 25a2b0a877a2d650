"""The table of segments: one is current, and each can be named, shown, locked."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QModelIndex, QSize, Qt
from qtpy.QtGui import QColor, QIcon, QPixmap, QResizeEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QCompleter,
    QHeaderView,
    QLineEdit,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTreeWidget,
    QTreeWidgetItem,
    QWidget,
)

from napari_medsam_lite.core.segmentation import Segment
from napari_medsam_lite.gui.dock.controls import together
from napari_medsam_lite.gui.session.segment_actions import SegmentActions
from napari_medsam_lite.gui.session.state import SessionState

NUMBER, NAME, SHOWN, LOCKED, SLICES, SIZE, WORST = range(7)
HEADERS = ("#", "Name", "See", "Lock", "Slices", "ml", "Score")
HINTS = (
    "The number that voxels bear; the colour of box and mask.",
    "Double-click or press F2 to name; type to find a name of the label set.",
    "Whether mask and boxes are shown.",
    "A locked segment is changed by nothing: no run, no brush, no deletion.",
    "Slices with a mask, of those in the range where one is set.",
    "Millilitres of the mask.",
    "The network's own estimate for its worst slice, 0 to 1: look there first.",
)
LEAST_WIDTHS = {SIZE: 340, SLICES: 280}
"""Pixels of the table from which a column is shown."""
SWATCH = 14
TICKS = """
QTreeWidget::indicator { width: 10px; height: 10px; border: 1px solid gray; border-radius: 2px; }
QTreeWidget::indicator:checked { background: palette(highlight); border-color: lightgray; }
"""
"""napari's dark theme draws boxes that are not ticked black on black."""
ROWS = 5
SHOWN_SIGN = {True: Qt.CheckState.Checked, False: Qt.CheckState.Unchecked}


class SegmentsTable(QTreeWidget):  # type: ignore[misc]
    """The segments of the chosen image; the current one is the selected row.

    Parameters
    ----------
    state : SessionState
        What is shown.
    actions : SegmentActions
        What is done to segments.
    told : callable
        Does something and shows an expected error as a sentence.
    """

    def __init__(
        self,
        state: SessionState,
        actions: SegmentActions,
        told: Callable[[Callable[[], object]], None],
    ) -> None:
        super().__init__()
        self._state, self._actions, self._told = state, actions, told
        self._filling = False
        self._dress()
        self.itemChanged.connect(self._on_item)
        self.currentItemChanged.connect(self._on_current)
        later = together(self._fill, self)
        for event in (state.events.segmentation, state.events.sizes):
            event.connect(later)
        self._fill()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Room for the header and a few rows."""
        row = max(self.fontMetrics().lineSpacing() + 8, SWATCH + 6)
        return QSize(280, row * (ROWS + 1) + 8)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """In a narrow dock names go before figures, which each row's tooltip has too."""
        super().resizeEvent(event)
        for column, least in LEAST_WIDTHS.items():
            self.setColumnHidden(column, self.viewport().width() < least)

    def _dress(self) -> None:
        self.setObjectName("segments")
        self.setToolTip("What is outlined. New boxes belong to the selected segment.")
        self.setHeaderLabels(HEADERS)
        for column, hint in enumerate(HINTS):
            self.headerItem().setToolTip(column, hint)
        self.setRootIsDecorated(False)
        self.setUniformRowHeights(True)
        self.setIconSize(QSize(SWATCH, SWATCH))
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(
            QAbstractItemView.EditTrigger.DoubleClicked
            | QAbstractItemView.EditTrigger.EditKeyPressed
        )
        self.setItemDelegate(_Names(self._actions, self))
        self.setMinimumHeight(90)
        self.setStyleSheet(TICKS)
        header = self.header()
        header.setStretchLastSection(False)
        header.setMinimumSectionSize(24)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        for column in range(len(HEADERS)):
            fits = QHeaderView.ResizeMode.ResizeToContents
            stretches = QHeaderView.ResizeMode.Stretch
            header.setSectionResizeMode(column, stretches if column == NAME else fits)

    def _fill(self) -> None:
        if self.state() == QAbstractItemView.State.EditingState:
            return
        segmentation, sizes = self._state.segmentation, self._state.sizes
        self._filling = True
        while self.topLevelItemCount() > len(segmentation.segments):
            self.takeTopLevelItem(self.topLevelItemCount() - 1)
        for row, segment in enumerate(segmentation.segments):
            item = self.topLevelItem(row)
            if item is None:
                item = QTreeWidgetItem()
                item.setFlags(
                    Qt.ItemFlag.ItemIsSelectable
                    | Qt.ItemFlag.ItemIsEnabled
                    | Qt.ItemFlag.ItemIsUserCheckable
                    | Qt.ItemFlag.ItemIsEditable
                )
                self.addTopLevelItem(item)
            _write(item, segment, sizes.get(segment.number, (0, 0.0)))
            if segment.number == segmentation.current:
                self.setCurrentItem(item)
        self._filling = False

    def _on_item(self, item: QTreeWidgetItem, column: int) -> None:
        """The user named a segment, or ticked one of its boxes."""
        if self._filling:
            return
        number = _number(item)
        ticked = item.checkState(column) == Qt.CheckState.Checked
        if column == NAME:
            self._told(lambda: self._actions.rename(number, item.text(NAME)))
        elif column == SHOWN:
            self._told(lambda: self._actions.reveal(number, ticked))
        elif column == LOCKED:
            self._told(lambda: self._actions.lock(number, ticked))

    def _on_current(self, item: QTreeWidgetItem | None, _: object) -> None:
        if not self._filling and item is not None:
            number = _number(item)
            self._told(lambda: self._actions.choose(number))


class _Names(QStyledItemDelegate):  # type: ignore[misc]
    """Only names are typed, with the names of the label set to find."""

    def __init__(self, actions: SegmentActions, table: QTreeWidget) -> None:
        super().__init__(table)
        self._actions = weakref.ref(actions)

    def createEditor(  # noqa: N802 - Qt's name
        self, parent: QWidget, option: QStyleOptionViewItem, index: QModelIndex
    ) -> QWidget | None:
        """A field that finds names by any part of them."""
        if index.column() != NAME:
            return None
        field, actions = QLineEdit(parent), self._actions()
        field.setObjectName("segment_name")
        names = actions.label_set.names if actions is not None else ()
        completer = QCompleter(list(names), field)
        completer.setFilterMode(Qt.MatchFlag.MatchContains)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        field.setCompleter(completer)
        return field

    def setEditorData(self, editor: Any, index: QModelIndex) -> None:  # noqa: N802
        """Begin with the name as it is."""
        editor.setText(str(index.data(Qt.ItemDataRole.EditRole) or ""))
        editor.selectAll()


def _write(item: QTreeWidgetItem, segment: Segment, size: tuple[int, float]) -> None:
    slices, millilitres = size
    worst = segment.worst_score
    wanted = "".join(f"/{last - first + 1}" for first, last in segment.ranges.values())
    spans = "".join(f" Range: {first} to {last}." for first, last in segment.ranges.values())
    texts = {
        NUMBER: str(segment.number),
        NAME: segment.title,
        SLICES: f"{slices}{wanted}",
        SIZE: f"{millilitres:.1f}" if millilitres < 100 else f"{millilitres:.0f}",
        WORST: "" if worst is None else f"{worst:.2f}",
    }
    told = f"{segment.title}: {slices} slices, {texts[SIZE]} ml.{spans}"
    for column, text in texts.items():
        if item.text(column) != text:
            item.setText(column, text)
        item.setToolTip(column, f"{told}\n{HINTS[column]}")
    if item.data(NUMBER, Qt.ItemDataRole.UserRole) != segment.color:
        item.setData(NUMBER, Qt.ItemDataRole.UserRole, segment.color)
        item.setIcon(NUMBER, _swatch(segment))
    item.setCheckState(SHOWN, SHOWN_SIGN[segment.visible])
    item.setCheckState(LOCKED, SHOWN_SIGN[segment.locked])


def _swatch(segment: Segment) -> QIcon:
    picture = QPixmap(SWATCH, SWATCH)
    picture.fill(QColor(*segment.color))
    return QIcon(picture)


def _number(item: QTreeWidgetItem) -> int:
    return int(item.text(NUMBER))
