"""The picture of a run, as wide as the dock."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtGui import QPixmap, QResizeEvent
from qtpy.QtWidgets import QLabel, QSizePolicy

from napari_medsam_lite.gui.dock.controls import together
from napari_medsam_lite.gui.session.state import SessionState

HIGHEST = 320


class RunPicture(QLabel):  # type: ignore[misc]
    """The label ``history_picture``; not there where a run has no picture.

    Parameters
    ----------
    state : SessionState
        Its `run_picture` is shown.
    """

    def __init__(self, state: SessionState) -> None:
        super().__init__()
        self._state, self._whole = state, QPixmap()
        self.setObjectName("history_picture")
        self.setToolTip("The slice that the run began with, as it was at its end.")
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        state.events.run_picture.connect(together(self._show, self))
        self._show()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """The picture is as wide as there is room."""
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self._fit()

    def _show(self) -> None:
        self._whole = QPixmap()
        self._whole.loadFromData(self._state.run_picture)
        self.setVisible(not self._whole.isNull())
        self._fit()

    def _fit(self) -> None:
        if self._whole.isNull():
            self.clear()
            return
        shown = self._whole.scaled(
            max(self.width(), 1),
            HIGHEST,
            Qt.AspectRatioMode.KeepAspectRatio,
            Qt.TransformationMode.SmoothTransformation,
        )
        self.setPixmap(shown)
        self.setFixedHeight(shown.height())
