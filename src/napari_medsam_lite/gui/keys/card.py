"""KeysCard: every action with its key, to look up and to change."""

from __future__ import annotations

from qtpy.QtCore import QModelIndex, Qt
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QHBoxLayout,
    QHeaderView,
    QKeySequenceEdit,
    QLabel,
    QPushButton,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.gui.keys.shortcuts import Shortcuts
from napari_medsam_lite.gui.keys.taken import PORTABLE

WHAT, KEY = 0, 1
SIZE = (320, 480)
HINT = "Click a key, or press Enter on it, then press the new one. Del takes a key away."


class KeysCard(QDialog):  # type: ignore[misc]
    """A list of actions and keys that stays open beside the work.

    Parameters
    ----------
    shortcuts : Shortcuts
        Whose keys are shown and changed.
    parent : QWidget, optional
        The card closes with it.
    """

    def __init__(self, shortcuts: Shortcuts, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keys")
        self.setObjectName("keys_card")
        self._shortcuts = shortcuts
        self._table = _Table(shortcuts, self)
        self._told = QLabel(shortcuts.problem or HINT)
        self._told.setObjectName("keys_status")
        self._told.setWordWrap(True)
        # Room for the longest sentence, so that the table does not jump under the pointer.
        self._told.setMinimumHeight(3 * self._told.fontMetrics().lineSpacing())
        self._told.setAlignment(Qt.AlignmentFlag.AlignTop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addWidget(self._table)
        layout.addWidget(self._told)
        layout.addLayout(self._buttons())
        self.resize(*SIZE)
        follow = self._table.show_keys
        shortcuts.changed.connect(follow)
        # The shortcuts may outlive the card, and psygnal does not see that Qt deleted it.
        self.destroyed.connect(lambda: shortcuts.changed.disconnect(follow, missing_ok=True))

    def change(self, row: int, key: str) -> None:
        """Give the action of a row another key, or say why not."""
        name = self._shortcuts.actions[row].name
        try:
            self._shortcuts.change(name, key)
        except MedSAMLiteError as error:
            self._told.setText(f"\N{WARNING SIGN} {error}")
        else:
            self._told.setText(HINT)

    def _buttons(self) -> QHBoxLayout:
        reset, close = QPushButton("Reset all"), QPushButton("Close")
        reset.setObjectName("reset_keys")
        reset.setToolTip("Every action gets the key that it had at first.")
        reset.clicked.connect(self._reset)
        close.setObjectName("close_keys")
        close.clicked.connect(self.close)
        row = QHBoxLayout()
        for button in (reset, close):
            button.setAutoDefault(False)  # Enter belongs to the table
            row.addWidget(button)
        return row

    def _reset(self) -> None:
        try:
            self._shortcuts.reset()
        except MedSAMLiteError as error:
            self._told.setText(f"\N{WARNING SIGN} {error}")
        else:
            self._told.setText("Every action has the key again that it had at first.")


class _Table(QTableWidget):  # type: ignore[misc]
    """Actions and keys; only keys can be edited."""

    def __init__(self, shortcuts: Shortcuts, card: KeysCard) -> None:
        super().__init__(len(shortcuts.actions), 2, card)
        self.setObjectName("keys")
        self._shortcuts, self._card = shortcuts, card
        self.setHorizontalHeaderLabels(["Action", "Key"])
        self.verticalHeader().hide()
        self.setShowGrid(False)
        self.setWordWrap(True)
        self.setTabKeyNavigation(False)  # Tab leads on to the buttons
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setItemDelegateForColumn(KEY, _KeyDelegate(shortcuts, card))
        header = self.horizontalHeader()
        header.setSectionResizeMode(WHAT, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(KEY, QHeaderView.ResizeMode.ResizeToContents)
        for row, action in enumerate(shortcuts.actions):
            for column in (WHAT, KEY):
                item = QTableWidgetItem(action.text if column == WHAT else "")
                item.setToolTip(action.text)
                self.setItem(row, column, item)
        self.show_keys()
        self.setCurrentCell(0, KEY)
        self.cellClicked.connect(self._edit)

    def show_keys(self) -> None:
        """Write down the keys as they are now."""
        for row, action in enumerate(self._shortcuts.actions):
            self.item(row, KEY).setText(self._shortcuts.shown_key(action.name))

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Enter, Space and F2 edit the row's key, Del takes it away."""
        row, key = self.currentRow(), event.key()
        if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space, Qt.Key.Key_F2):
            self._edit(row)
        elif key in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self._card.change(row, "")
        else:
            super().keyPressEvent(event)

    def _edit(self, row: int, _: int = KEY) -> None:
        if row >= 0:
            self.edit(self.model().index(row, KEY))


class _KeyDelegate(QStyledItemDelegate):  # type: ignore[misc]
    """Takes the next key that is pressed in a cell."""

    def __init__(self, shortcuts: Shortcuts, card: KeysCard) -> None:
        super().__init__(card)
        self._shortcuts, self._card = shortcuts, card

    def createEditor(  # noqa: N802 - Qt's name
        self, parent: QWidget, _option: QStyleOptionViewItem, _index: QModelIndex
    ) -> QWidget:
        """A field that ends with its first key."""
        editor = QKeySequenceEdit(parent)
        if hasattr(editor, "setMaximumSequenceLength"):  # else it waits a second for more keys
            editor.setMaximumSequenceLength(1)
        editor.editingFinished.connect(lambda: self._take(editor))
        return editor

    def setEditorData(self, editor: QWidget, index: QModelIndex) -> None:  # noqa: N802
        """Begin with an empty field: it says what to do."""

    def setModelData(self, editor: QWidget, model: object, index: QModelIndex) -> None:  # noqa: N802
        """Change the key; what the cell shows follows."""
        pressed = str(editor.keySequence().toString(PORTABLE)).partition(", ")[0]
        if pressed:
            self._card.change(index.row(), pressed)

    def _take(self, editor: QWidget) -> None:
        if editor.keySequence().isEmpty():
            return  # the focus was lost, which ends the editing by itself
        editor.blockSignals(True)  # it says so again when it is taken away
        self.commitData.emit(editor)
        self.closeEditor.emit(editor)
