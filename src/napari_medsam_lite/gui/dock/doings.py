"""What each key of the dock does, and the keys as the buttons show them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from qtpy.QtWidgets import QAbstractButton, QWidget

from napari_medsam_lite.core.files import settings_folder
from napari_medsam_lite.core.window import WINDOWS
from napari_medsam_lite.gui.dock.parts import here
from napari_medsam_lite.gui.keys.shortcuts import Shortcuts
from napari_medsam_lite.gui.session.controller import SessionController

BUTTONS = {
    "new_segment": "new_segment",
    "delete_segment": "delete_segment",
    "box_tool": "add_boxes",
    "live": "live",
    "segment_slice": "segment_slice",
    "segment_volume": "segment_volume",
    "cancel": "cancel",
    "continue": "continue",
    "set_first": "set_first",
    "set_last": "set_last",
    "save": "save",
    "next_case": "next_case",
    "previous_case": "previous_case",
    "mark_done": "mark_done",
    "show_keys": "show_keys",
}
"""Action -> the button that does the same."""


def keys_file() -> Path:
    """Where changed keys are kept."""
    return settings_folder() / "keys.json"


def doings(
    session: SessionController, show_keys: Callable[[], None], save: Callable[[], None]
) -> dict[str, Callable[[], None]]:
    """Action -> what it does, by the names of `gui.keys.defaults`."""
    state, segments = session.state, session.segments

    def told(act: Callable[[], object]) -> Callable[[], None]:
        return lambda: session.told(act)

    def free(press: Callable[[], None]) -> Callable[[], None]:
        return lambda: None if state.busy else press()

    def flip(field: str, act: Callable[[int, bool], None]) -> Callable[[], None]:
        def act_on_current() -> None:
            segment = state.segmentation.current_segment
            if segment is not None:
                session.told(lambda: act(segment.number, not getattr(segment, field)))

        return act_on_current

    found: dict[str, Callable[[], None]] = {
        "new_segment": told(segments.begin),
        "next_segment": told(lambda: segments.step(1)),
        "previous_segment": told(lambda: segments.step(-1)),
        "pick_segment": told(segments.pick),
        "box_tool": session.run_actions.add_boxes,
        "live": lambda: setattr(state, "live", not state.live),
        "segment_slice": free(session.run_actions.segment_slice),
        "segment_volume": free(session.run_actions.segment_volume),
        "cancel": session.runs.cancel,
        "continue": free(session.run_actions.go_on),
        "set_first": lambda: here(session, 0),
        "set_last": lambda: here(session, 1),
        "toggle_visible": flip("visible", segments.reveal),
        "toggle_lock": flip("locked", segments.lock),
        "delete_segment": told(lambda: segments.delete(state.segmentation.current)),
        "save": save,
        "next_case": told(lambda: session.worklist.step(1)),
        "previous_case": told(lambda: session.worklist.step(-1)),
        "mark_done": told(lambda: session.worklist.mark("done")),
        "show_keys": show_keys,
    }
    for number in range(1, 10):
        found[f"segment_{number}"] = told(partial(segments.choose, number))
    for number in range(1, min(len(WINDOWS), 7) + 1):
        found[f"window_{number}"] = partial(session.window.choose_number, number)
    return found


def show_on_buttons(dock: QWidget, shortcuts: Shortcuts) -> None:
    """Write each action's key behind the text of its button, now and whenever it changes."""
    buttons = {
        action: button
        for action, name in BUTTONS.items()
        if (button := dock.findChild(QAbstractButton, name)) is not None
    }
    texts = {action: (button.text(), button.toolTip()) for action, button in buttons.items()}

    def show() -> None:
        for action, button in buttons.items():
            text, hint = texts[action]
            key = shortcuts.shown_key(action)
            button.setText(f"{text} ({key})" if key and len(key) == 1 else text)
            button.setToolTip(f"{hint} Key: {key}." if key else hint)

    shortcuts.changed.connect(show)
    show()
