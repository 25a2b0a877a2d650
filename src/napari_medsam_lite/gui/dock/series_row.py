"""Which series of a DICOM folder is shown; there only where the folder holds several."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtWidgets import QComboBox, QFormLayout, QLabel, QWidget

from napari_medsam_lite.gui.dock.controls import WheelGuard, narrow
from napari_medsam_lite.gui.session.series import SeriesChoice
from napari_medsam_lite.gui.session.state import SessionState


class SeriesRow(QWidget):  # type: ignore[misc]
    """The choice ``series``.

    Parameters
    ----------
    state : SessionState
        Tells which image is chosen, and whether a run is in progress.
    choice : SeriesChoice
        Knows the series, and opens them.
    told : callable
        Does something and shows an expected error as a sentence.
    """

    def __init__(
        self,
        state: SessionState,
        choice: SeriesChoice,
        told: Callable[[Callable[[], object]], None],
    ) -> None:
        super().__init__()
        self._state, self._choice, self._told = state, choice, told
        self._combo = QComboBox()
        self._combo.setObjectName("series")
        self._combo.setToolTip(
            "The series of the folder. One is open; another is read when it is chosen."
        )
        self._combo.installEventFilter(WheelGuard(self._combo))
        narrow(self._combo)
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow(QLabel("Series"), self._combo)
        self._combo.activated.connect(self._on_choice)
        state.events.image.connect(self._show)
        state.events.busy.connect(self._show)
        self._show()

    def _show(self, *_: object) -> None:
        offered = self._choice.offered
        self.setVisible(bool(offered))
        self._combo.setEnabled(not self._state.busy)
        if offered:
            from napari_medsam_lite.io.dicom_series import tell  # pydicom is there by now

            self._combo.clear()
            self._combo.addItems([tell(one) for one in offered])
            chosen = self._choice.chosen
            self._combo.setCurrentIndex(offered.index(chosen) if chosen in offered else -1)

    def _on_choice(self, row: int) -> None:
        self._told(lambda: self._choice.choose(self._choice.offered[row]))
        self._show()
