"""The dock's controls: their names, what they say when pointed at, what they are bound to."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from magicgui.widgets import CheckBox, ComboBox, Label, ProgressBar, PushButton, SpinBox
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
from napari_medsam_lite.core.settings import AUTO
from napari_medsam_lite.core.window import WINDOWS, CTWindow, Window
from napari_medsam_lite.gui.session.state import (
    AS_SHOWN,
    DETAILS,
    DEVICES,
    OVERLAPS,
    STEPS,
    SessionState,
)

STATUS_LINES = 4
NOT_LOADED = "The network is loaded with the first box."
PAUSE_MS = 250
WINDOW_HINTS = {
    "mr": "for MR: between the 0.5th and the 99.5th percentile",
    "none": "for images that hold 0..255 already: values as they are",
}
DEVICE_HINTS = {
    AUTO: "the fastest there is: CUDA, then Apple's GPU, then the CPU",
    "cpu": "the processor",
    "cuda": "an NVIDIA GPU",
    "mps": "Apple's GPU",
}


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


def image_choice(state: SessionState) -> ComboBox:
    """The viewer's image layers, by name."""

    def images(_: object) -> list[tuple[str, Any]]:
        return [(image.name, image) for image in state.images]

    control = named(
        ComboBox(choices=images, nullable=True, tooltip="The image to segment."), "image_layer"
    )
    narrow(control.native)

    def offer(*_: object) -> None:
        with control.changed.blocked():
            control.reset_choices()
            control.value = state.image if state.image in state.images else None

    control.changed.connect(lambda image: setattr(state, "image", image))
    state.events.images.connect(offer)
    state.events.image.connect(offer)
    offer()
    return control


def window_hints() -> dict[str, str]:
    """What each window is."""
    auto = "abdomen for CT, as stored for 8-bit images, mr for all others"
    shown = "the image's contrast limits, as they are when a run starts"
    hints = {AUTO: auto, AS_SHOWN: shown}
    return hints | {name: _describe(name, window) for name, window in WINDOWS.items()}


def _describe(name: str, window: Window) -> str:
    if isinstance(window, CTWindow):
        return f"CT: level {window.level:g}, width {window.width:g} HU"
    return WINDOW_HINTS.get(name, name)


def device_choice(state: SessionState) -> ComboBox:
    """Where the network is run."""
    options = {name: DEVICE_HINTS[name] for name in DEVICES}
    return choice(state, "device", options, "Where the network is run.")


def overlap_choice(state: SessionState) -> ComboBox:
    """Who keeps a voxel that two labels want."""
    return choice(
        state,
        "overlap",
        {str(name): hint for name, hint in OVERLAPS.items()},
        "Where a new mask meets other labels. A box that is segmented again always replaces its "
        "own mask.",
    )


def detail_choice(state: SessionState) -> ComboBox:
    """What the network is shown of a slice."""
    options = {str(name): hint for name, hint in DETAILS.items()}
    return choice(state, "detail", options, "What the network is shown of a slice.")


def step_choice(state: SessionState) -> ComboBox:
    """On which slices Segment volume asks the network."""
    options = {str(name): hint for name, hint in STEPS.items()}
    return choice(
        state, "step", options, "On every how many slices Segment volume asks the network."
    )


def read_ahead_choice(state: SessionState) -> CheckBox:
    """Whether slices may be encoded before they are asked for."""
    control = named(
        CheckBox(
            text="Read ahead",
            tooltip="From Add boxes on, loads the network; after a run, while you look and draw, "
            "encodes what its boxes would need on the slices around the one shown, so that the "
            "next box is answered at once. It rests while you work in other layers.",
        ),
        "read_ahead",
    )
    bind(state, "read_ahead", control)
    return control


def on_disk_choice(state: SessionState) -> CheckBox:
    """Whether what the encoder computed outlives the session."""
    control = named(
        CheckBox(
            text="Keep on disk",
            tooltip="Keeps what the encoder computed, so that the same boxes on an image opened "
            "again are answered at once. napari's preferences tell where, and how much.",
        ),
        "on_disk",
    )
    bind(state, "on_disk", control)
    return control


def z_field(state: SessionState, field: str, tooltip: str) -> SpinBox:
    """A slice number; its range follows the image and the axis shown."""
    control = named(SpinBox(min=0, max=state.z_last, tooltip=tooltip), field)
    # In a narrow dock they would leave no room for the number; the arrow keys step too.
    control.native.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)
    control.native.setStyleSheet("min-width: 36px; padding: 1px 4px;")
    bind(state, field, control)

    def follow(last: int) -> None:
        # A field cannot be lowered below its value, and the value follows in its own event.
        control.value = min(control.value, last)
        control.max = last

    state.events.z_last.connect(follow)
    return control


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
