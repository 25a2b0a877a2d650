"""The keys as they are unless changed; none is napari's, the window's or the desktop's."""

from __future__ import annotations

from typing import NamedTuple


class Default(NamedTuple):
    """The key of an action, and what the action does."""

    key: str
    text: str


DEFAULTS: dict[str, Default] = {
    "new_segment": Default("N", "Begin a new segment"),
    "next_segment": Default("J", "Go to the next segment"),
    "previous_segment": Default("K", "Go to the segment before"),
    "pick_segment": Default("Q", "Pick the segment under the pointer"),
    **{
        # Digits alone, which napari's layers use for their tools, are not free.
        f"segment_{n}": Default(f"Ctrl+{n}", f"Go to segment {n}")
        for n in range(1, 10)
    },
    "box_tool": Default("Shift+B", "Draw boxes"),
    "live": Default("U", "Turn live answers on or off"),
    "segment_slice": Default("G", "Segment the slice shown"),
    "segment_volume": Default("Shift+G", "Segment the volume"),
    "cancel": Default("H", "Halt the run, keep what is done"),
    "continue": Default("Shift+H", "Continue the run that was halted"),
    "set_first": Default("Shift+I", "First slice: the one shown"),
    "set_last": Default("Shift+O", "Last slice: the one shown"),
    "toggle_visible": Default("Shift+E", "Show or hide the segment"),
    "toggle_lock": Default("Shift+K", "Lock or unlock the segment"),
    "delete_segment": Default("Shift+Backspace", "Delete the segment"),
    "save": Default("Shift+S", "Save the labels"),
    "next_case": Default("Shift+PgDown", "Open the next case of the worklist"),
    "previous_case": Default("Shift+PgUp", "Open the case before"),
    "mark_done": Default("Shift+D", "Mark the case as done, open the next"),
    **{f"window_{n}": Default(f"Alt+{n}", f"Use window {n}") for n in range(1, 8)},
    "show_keys": Default("?", "Show all keys"),
}
