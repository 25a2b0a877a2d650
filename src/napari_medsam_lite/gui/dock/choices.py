"""The dock's choices: a control for each field of the state that a person sets."""

from __future__ import annotations

from typing import Any

from magicgui.widgets import CheckBox, ComboBox, SpinBox
from qtpy.QtWidgets import QAbstractSpinBox

from napari_medsam_lite.core.settings import AUTO
from napari_medsam_lite.core.window import WINDOWS, CTWindow, Window
from napari_medsam_lite.gui.dock.controls import bind, choice, named, narrow
from napari_medsam_lite.gui.session.state import (
    AS_SHOWN,
    DETAILS,
    DEVICES,
    OVERLAPS,
    STEPS,
    SessionState,
)

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
