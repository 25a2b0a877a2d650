"""Shortcuts: keys that work wherever the focus is in napari's window, and can be changed."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from psygnal import Signal
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QWidget

from napari_medsam_lite.core.errors import FileFormatError, MedSAMLiteError
from napari_medsam_lite.gui.keys.defaults import DEFAULTS
from napari_medsam_lite.gui.keys.in_window import KeysInWindow
from napari_medsam_lite.gui.keys.stored import read_keys, write_keys
from napari_medsam_lite.gui.keys.taken import PORTABLE, normal, owner_of


@dataclass(frozen=True)
class Action:
    """What a key does.

    Attributes
    ----------
    name : str
        Stays the same in all versions: changed keys are kept under it.
    text : str
        What it does, in a short phrase.
    key : str
        The key unless changed, as Qt writes it in files, such as ``"Ctrl+Shift+N"``; may be empty.
    do : callable
        Does it, on the main thread.
    """

    name: str
    text: str
    key: str
    do: Callable[[], None]


def actions_of(doings: Mapping[str, Callable[[], None]]) -> list[Action]:
    """Actions with the texts and keys of `DEFAULTS`; `doings` are by the names used there."""
    return [
        Action(name, DEFAULTS[name].text, DEFAULTS[name].key, do) for name, do in doings.items()
    ]


class Shortcuts:
    """One key for each action, from `open` to `close`.

    The keys belong to napari's main window, so that it does not matter where in it the focus is,
    nor whether the dock is behind another; a text field still gets its letters first.

    Parameters
    ----------
    owner : QWidget
        The dock's widget, in napari's window by the time that it is shown. It is held weakly.
    actions : sequence of Action
        In the order in which they are to be listed.
    store : Path, optional
        Keeps the keys that were changed; by default nothing does.
    """

    changed = Signal()

    def __init__(
        self, owner: QWidget, actions: Sequence[Action], store: Path | None = None
    ) -> None:
        self.actions = tuple(actions)
        self.problem = ""
        """What to tell the user about the stored keys; empty if all is well."""
        self._by_name = {action.name: action for action in self.actions}
        self._store = store
        self._keys = {action.name: normal(action.key) for action in self.actions}
        self._keys |= self._stored()
        self._in_window: KeysInWindow | None = None
        self._owner = weakref.ref(owner)

    def open(self) -> None:
        """Let the keys work, now or as soon as the owner is shown."""
        owner = self._owner()
        if self._in_window is None and owner is not None:
            self._in_window = KeysInWindow(owner, weakref.WeakMethod(self._do))
            self._in_window.give(self._keys)

    def close(self) -> None:
        """Let the keys be as if they had never been."""
        if self._in_window is not None:
            self._in_window.end()
            self._in_window = None

    def key_of(self, name: str) -> str:
        """The key of an action, as Qt writes it in files; empty if it has none."""
        return self._keys[name]

    def shown_key(self, name: str) -> str:
        """The key of an action as it is written on this system's keyboards."""
        native = QKeySequence.SequenceFormat.NativeText
        return str(QKeySequence(self._keys[name], PORTABLE).toString(native))

    def change(self, name: str, key: str) -> None:
        """Give an action another key, or none if `key` is empty, and keep that.

        Raises
        ------
        MedSAMLiteError
            If the key is taken by napari, by the desktop or by another action, or is none.
        FileFormatError
            If it cannot be kept for the next time; for this session it is changed.
        """
        wanted = normal(key)
        if key and not wanted:
            raise MedSAMLiteError("That is not one key; press one, with Ctrl, Shift or Alt.")
        if wanted and wanted != self._keys[name]:
            self._check_free(name, wanted)
        self._set({**self._keys, name: wanted})

    def reset(self) -> None:
        """Give every action the key that it had at first.

        Raises
        ------
        FileFormatError
            If that cannot be kept for the next time.
        """
        self._set({action.name: normal(action.key) for action in self.actions})

    def _check_free(self, name: str, key: str) -> None:
        for other, taken in self._keys.items():
            if taken == key and other != name:
                text = self._by_name[other].text
                raise MedSAMLiteError(f'{key} is the key of "{text}"; give that another first.')
        if (claim := owner_of(key)) is not None and key != normal(self._by_name[name].key):
            raise MedSAMLiteError(f"{key} {claim}; press another key.")

    def _set(self, keys: dict[str, str]) -> None:
        self._keys, self.problem = keys, ""
        if self._in_window is not None:
            self._in_window.give(keys)
        self.changed.emit()
        if self._store is not None:
            first = {action.name: normal(action.key) for action in self.actions}
            write_keys(self._store, {n: key for n, key in keys.items() if key != first[n]})

    def _stored(self) -> dict[str, str]:
        """The keys that were changed in earlier sessions, but for those that are not unique."""
        if self._store is None:
            return {}
        try:
            held = read_keys(self._store)
        except FileFormatError as error:
            self.problem = str(error)
            return {}
        found = {
            name: normal(key)
            for name, key in held.items()
            if name in self._by_name and (normal(key) or not key)
        }
        keys = [key for key in (self._keys | found).values() if key]
        if len(set(keys)) == len(keys):
            return found
        self.problem = f"{self._store} gives one key to two actions, so all keys are as at first."
        return {}

    def _do(self, name: str) -> None:
        self._by_name[name].do()
