"""The window's control: names, and level and width as numbers."""

from __future__ import annotations

from magicgui.widgets import ComboBox
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QVBoxLayout,
    QWidget,
)

from napari_medsam_lite.gui.dock.choices import window_hints
from napari_medsam_lite.gui.dock.controls import WheelGuard, named, narrow
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.gui.session.window_link import WindowLink

OWN = "own"
"""In the list, for a level and a width that no name has."""
OF_FILE = "file"
"""In the list where the image's file brought a window."""
DIGITS = 6


class WindowRow(QWidget):  # type: ignore[misc]
    """Which values are black and white, on the screen and for the network.

    Its parts are called ``window``, ``level`` and ``width``.

    Parameters
    ----------
    state : SessionState
        Holds the window.
    link : WindowLink
        Tells level and width, and takes new ones.
    """

    def __init__(self, state: SessionState, link: WindowLink) -> None:
        super().__init__()
        self._state, self._link = state, link
        self._combo = _combo()
        self._level = _Number("level", "The value that is shown as middle grey; in HU for CT.")
        self._width = _Number("width", "From black to white; in HU for CT. Less is more contrast.")
        self._width.setMinimum(10.0**-DIGITS)
        numbers = QHBoxLayout()
        for name, field in (("Level", self._level), ("Width", self._width)):
            numbers.addWidget(QLabel(name))
            numbers.addWidget(field, 1)
            field.valueChanged.connect(self._on_number)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._combo.native)
        layout.addLayout(numbers)
        self.setToolTip(self._combo.tooltip)
        self._combo.changed.connect(self._on_choice)
        state.events.image.connect(self._offer)
        state.events.window.connect(self._show_window)
        link.moved.connect(self._show_numbers)
        self._offer()
        self._show_numbers(link.shown)

    def _offer(self, *_: object) -> None:
        """List the windows that there are for the image."""
        hints = window_hints()
        if self._link.of_file is not None:
            level, width = self._link.of_file.split(",")
            hints[OF_FILE] = f"the one in the file: level {level}, width {width}"
        hints[OWN] = "the level and width below"
        with self._combo.changed.blocked():
            self._combo.choices = ()  # or else those that stay would come first
            self._combo.choices = list(hints)
        for row, hint in enumerate(hints.values()):
            self._combo.native.setItemData(row, hint, Qt.ItemDataRole.ToolTipRole)
        self._show_window(self._state.window)

    def _on_choice(self, choice: str) -> None:
        if choice == OF_FILE and self._link.of_file is not None:
            self._state.window = self._link.of_file
        elif choice != OWN:
            self._state.window = choice
        elif self._state.window in self._combo.choices:
            self._on_number()

    def _on_number(self, *_: object) -> None:
        self._link.choose(self._level.value(), self._width.value())

    def _show_window(self, window: str, *_: object) -> None:
        if window == self._link.of_file:
            self._combo.value = OF_FILE
        else:
            self._combo.value = window if window in self._combo.choices else OWN

    def _show_numbers(self, shown: tuple[float, float] | None) -> None:
        for field, value in zip((self._level, self._width), shown or (0.0, 1.0), strict=True):
            field.setEnabled(shown is not None)
            field.show_value(value)


class _Number(QDoubleSpinBox):  # type: ignore[misc]
    """A field for a number of HU or of any other unit, without zeros that mean nothing."""

    def __init__(self, name: str, tooltip: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setToolTip(tooltip)
        self.setDecimals(DIGITS)
        self.setRange(-1e9, 1e9)
        self.setStepType(QAbstractSpinBox.StepType.AdaptiveDecimalStepType)
        self.setKeyboardTracking(False)  # not a window for each digit that is typed
        # In a narrow dock they would leave no room for the number; the arrow keys step too.
        self.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)
        # napari's own 70 and 10 are too wide for two in a row of a narrow dock.
        self.setStyleSheet("min-width: 36px; padding: 1px 4px;")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.installEventFilter(WheelGuard(self))

    def show_value(self, value: float) -> None:
        """Show `value`, which the user did not type."""
        blocked = self.blockSignals(True)
        self.setValue(value)
        self.blockSignals(blocked)

    def textFromValue(self, value: float) -> str:  # noqa: N802 - Qt's name
        """Up to six digits that count."""
        return f"{value:.{DIGITS}g}"


def _combo() -> ComboBox:
    tooltip = (
        "The range of values from black to white, on the screen and for the network; choose the "
        "one in which the organ shows best. The values themselves stay. On the canvas, drag with "
        "Shift and the right button."
    )
    combo = named(ComboBox(choices=[OWN], tooltip=tooltip), "window")
    narrow(combo.native)
    return combo
