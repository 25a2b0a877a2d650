"""What was left unsaved of an image, and who else has it open; there only where there is any."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QSizePolicy, QVBoxLayout, QWidget

from napari_medsam_lite.gui.dock.arrange import side_by_side
from napari_medsam_lite.gui.dock.controls import button
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.gui.session.undo_actions import UndoActions


class RestoreRow(QWidget):  # type: ignore[misc]
    """The sentences ``restore_told`` and ``elsewhere``, the buttons ``restore`` and ``discard``.

    Parameters
    ----------
    state : SessionState
        Tells what was left.
    actions : UndoActions
        Restores and discards.
    """

    def __init__(self, state: SessionState, actions: UndoActions) -> None:
        super().__init__()
        self._state = state
        self._elsewhere, self._told = _sentence("elsewhere"), _sentence("restore_told")
        restore = button(
            "restore",
            "Restore",
            "Puts segments, boxes and masks back as they were; one undo takes them away again.",
            actions.restore,
        )
        discard = button(
            "discard", "Discard", "Removes this unsaved work for good.", actions.discard
        )
        self._buttons = side_by_side(restore, discard)
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 4, 6, 4)
        for part in (self._elsewhere, self._told, self._buttons):
            column.addWidget(part)
        state.events.unsaved.connect(self._show)
        state.events.elsewhere.connect(self._show)
        self._show()

    def _show(self, *_: object) -> None:
        unsaved, elsewhere = self._state.unsaved, self._state.elsewhere
        for label, text in ((self._told, unsaved), (self._elsewhere, elsewhere)):
            label.setText(text)
            label.setVisible(bool(text))
        self._buttons.setVisible(bool(unsaved))
        self.setVisible(bool(unsaved or elsewhere))


def _sentence(name: str) -> QLabel:
    label = QLabel()
    label.setObjectName(name)
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    return label
