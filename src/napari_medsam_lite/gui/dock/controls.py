"""What the dock's controls are made of: their names, what they are bound to, how they behave."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from magicgui.widgets import ComboBox, Label, ProgressBar, PushButton
from magicgui.widgets.bases import ValueWidget, Widget
from qtpy.compat import isalive
from qtpy.QtCore import QEvent, QObject, Qt, QTimer
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QComboBox,
    QMessageBox,
    QSizePolicy,
    QWidget,
)

from napari_medsam_lite.acceleration.availability import must_ask_torch
from napari_medsam_lite.acceleration.emulated import emulated
from napari_medsam_lite.gui.session.state import (
    SessionState,
)

STATUS_LINES = 4
NOT_LOADED = "The network is loaded with the first box."
PAUSE_MS = 250


def together(show: Callable[[], None], owner: QWidget) -> Callable[..., None]:
    """`show`, but once for all calls within `PAUSE_MS`, as long as `owner` lives.

    Whatever repaints in napari's window makes all of it be put together anew, which without a GPU
    takes longer than a mask; so a run that is over at once shows its end alone.
    """
    # Qt must not own `show`, which holds the dock: the dock could then never be freed.
    show_of, owner_of, waiting = weakref.ref(show), weakref.ref(owner), False

    def now() -> None:
        nonlocal waiting
        waiting, shown, there = False, show_of(), owner_of()
        if shown is not None and there is not None and isalive(there):
            shown()

    def later(*_: object, show: Callable[[], None] = show) -> None:
        nonlocal waiting
        if not waiting:
            waiting = True
            # Not a timer of the owner's: where Python frees a dock on another thread, its parts
            # are taken to pieces while the event loop runs, and such a timer was seen to crash.
            QTimer.singleShot(PAUSE_MS, now)

    return later


class WheelGuard(QObject):  # type: ignore[misc]
    """Leaves the wheel to the dock unless the control has the focus.

    Whoever scrolls through the dock would else change the preset or the overlap rule unseen.
    """

    def eventFilter(self, control: QWidget, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Let the event pass on to the control's parent."""
        if event.type() != QEvent.Type.Wheel or control.hasFocus():
            return False
        event.ignore()
        return True


def named(control: Widget, name: str) -> Any:
    """`control`, findable by scripts and tests under `name`, and safe from the wheel."""
    native = control.native
    native.setObjectName(name)
    if isinstance(native, QComboBox | QAbstractSpinBox):
        native.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        native.installEventFilter(WheelGuard(native))
    return control


def bind(state: SessionState, field: str, control: ValueWidget) -> None:
    """Keep a field of the state and a control at the same value, whichever changes."""
    control.value = getattr(state, field)
    control.changed.connect(lambda value: setattr(state, field, value))
    getattr(state.events, field).connect(lambda value: setattr(control, "value", value))


def choice(state: SessionState, field: str, options: dict[str, str], tooltip: str) -> ComboBox:
    """A combo box for a field of the state; `options` are names and what each one means."""
    control = named(ComboBox(choices=list(options), tooltip=tooltip), field)
    for row, hint in enumerate(options.values()):
        control.native.setItemData(row, hint, Qt.ItemDataRole.ToolTipRole)
    narrow(control.native)
    bind(state, field, control)
    return control


def narrow(combo: QComboBox) -> None:
    """Let long names be cut instead of widening the dock."""
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    combo.setMinimumContentsLength(8)
    combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)


def button(name: str, text: str, tooltip: str, press: Callable[[], None]) -> PushButton:
    """A push button."""
    control = named(PushButton(text=text, tooltip=tooltip), name)
    control.changed.connect(lambda _: press())
    return control


def ask(owner: QWidget, question: str) -> bool:
    """Whether the user says yes."""
    yes, no = QMessageBox.StandardButton.Yes, QMessageBox.StandardButton.No
    return bool(QMessageBox.question(owner, "MedSAM Lite", question, yes | no, no) == yes)


def progress_bar(state: SessionState) -> ProgressBar:
    """Masks done of the most there will be; a moving bar while that is not known."""
    control = named(ProgressBar(min=0, max=1, value=0, tooltip="How far the run is."), "progress")
    bar = control.native
    # Here and not in the status line: another text there lays out the dock anew.
    bar.setFormat("%v of %m masks")

    def show(*_: object) -> None:
        waiting = state.busy and state.total == 0
        bar.setTextVisible(state.total > 0)
        bar.setEnabled(state.busy or state.total > 0)
        bar.setRange(0, 0 if waiting else max(state.total, 1))
        bar.setValue(state.done)

    show()
    later = together(show, bar)
    for event in (state.events.busy, state.events.done, state.events.total):
        event.connect(later)
    return control


def _hint(state: SessionState) -> str:
    """What to do next, where nothing else is to be told."""
    if state.image is None:
        return "Open an image, or the sample."
    if state.segmentation.current_segment is None:
        return "Press Add boxes, and drag a box around an organ."
    return "Drag a box around the organ on the slice shown, or begin a new segment."


def status_line(state: SessionState) -> Label:
    """The last message, and the preset and device really in use."""
    control = named(Label(tooltip="What is going on, and what computes it."), "status")
    label = control.native
    label.setWordWrap(True)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    label.setAlignment(Qt.AlignmentFlag.AlignTop)
    # Room for the usual text, so that what is below does not jump.
    label.setMinimumHeight(STATUS_LINES * label.fontMetrics().lineSpacing())
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)

    def show(*_: object) -> None:
        used = state.in_use or NOT_LOADED
        sign = "\N{WARNING SIGN} " if state.is_problem else ""
        # Where torch must be asked, it is told once the network is loaded.
        slow = None if must_ask_torch() else emulated(state.preset, state.device)
        lines = (sign + (state.message or _hint(state)), used, slow, state.ahead)
        control.value = "\n".join(filter(None, lines))

    names = (
        "message",
        "is_problem",
        "in_use",
        "preset",
        "device",
        "ahead",
        "image",
        "segmentation",
    )
    later = together(show, label)
    for name in names:
        getattr(state.events, name).connect(later)
    show()
    return control
