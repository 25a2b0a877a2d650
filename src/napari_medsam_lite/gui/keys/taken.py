"""The keys that are not ours to take: napari's, the window's and the desktop's.

Written as Qt does, where on a Mac Ctrl is the Command key, Alt is Option and Meta is Control.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from app_model.backends.qt import QKeyBindingSequence
from app_model.types import KeyBinding
from napari import layers
from napari.components import ViewerModel
from napari.settings import get_settings
from napari.utils.shortcuts import default_shortcuts
from qtpy.QtGui import QKeySequence

PORTABLE = QKeySequence.SequenceFormat.PortableText
MODIFIERS = frozenset(("Ctrl", "Shift", "Alt", "Meta", "Control"))


def _keys(held: str, keys: str) -> set[str]:
    """The keys named, each with the same modifiers held."""
    return {f"{held}{key}" for key in keys.split()}


WINDOW_KEYS = frozenset(
    _keys("", "Tab Backtab Return Enter Space Esc Left Right Up Down Home End PgUp PgDown Ins Del")
    | _keys("", "Backspace F10 Menu")
    | _keys("Shift+", "Tab Backtab F10")
)
"""What moves about in a window, presses its buttons and opens its menus."""

MACOS_KEYS = frozenset(
    _keys("Ctrl+", "A B C D E F G H I L M N O P Q S T U V W X Z 0 ` , . ; : { } - + = ?")
    | _keys("Ctrl+", "Tab Space Left Right Up Down Backspace Del F1 F5 F11 F12")
    | _keys("Ctrl+Shift+", "G P Q S T V W Z 3 4 5 6 ` / ? Tab Backspace")
    | _keys("Ctrl+Alt+", "D H M Q V W 5 8 Esc Space")
    | _keys("Ctrl+Alt+Shift+", "Q V Esc Backspace")
    | _keys("Alt+", "Left Right Up Down Backspace Del F11 F12")
    | _keys("", "F3 F4 F5 F11 F12")
)
"""Apple, "Mac keyboard shortcuts" (support.apple.com/102650) and "Keyboards" in the Human Interface
Guidelines. What is done with Control there needs no list: every key with Meta is refused."""

DESKTOP_KEYS = frozenset(
    _keys("Alt+", "Tab F2 F4 Space Esc")
    | _keys("Alt+Shift+", "Tab")
    | _keys("Ctrl+", "Esc")
    | _keys("Ctrl+Shift+", "Esc")
    | _keys("Ctrl+Alt+", "T L Del Left Right Up Down")
    | {"Print"}
)
"""Of Windows and of the usual Linux desktops."""


def normal(key: str) -> str:
    """`key` as Qt writes it in files; empty unless it is one key with its modifiers."""
    sequence = QKeySequence(key, PORTABLE)
    text = str(sequence.toString(PORTABLE))
    one = sequence.count() == 1 and text.isprintable() and text not in MODIFIERS
    return text if one else ""


def napari_keys() -> frozenset[str]:
    """Every key of the napari that is running: defaults, the user's own, layers', menus'."""
    bindings: list[Any] = [key for keys in default_shortcuts.values() for key in keys]
    bindings += [key for keys in get_settings().shortcuts.shortcuts.values() for key in keys]
    for owner in (ViewerModel, *_layer_classes()):
        bindings += owner.class_keymap
    return frozenset(filter(None, map(_portable, (*bindings, *_menu_keys()))))


def owner_of(key: str) -> str | None:
    """Who claims `key`, written as `normal` does; None if it is free."""
    if key in WINDOW_KEYS:
        return "moves about in the window"
    if "Meta+" in key or key in MACOS_KEYS or key in DESKTOP_KEYS:
        return "belongs to the desktop"
    return "belongs to napari" if key in napari_keys() else None


def _layer_classes() -> Iterable[type[Any]]:
    found = (getattr(layers, name) for name in layers.__all__)
    return (kind for kind in found if isinstance(kind, type) and issubclass(kind, layers.Layer))


def _menu_keys() -> Iterable[KeyBinding]:
    """The keys of napari's menus and of plugins' commands, from its registry of commands."""
    try:
        from napari._app_model import get_app_model  # no public name leads there
    except ImportError:
        return ()
    return [rule.keybinding for rule in get_app_model().keybindings]


def _portable(binding: Any) -> str:
    """A binding as Qt writes it; empty for a modifier alone, which no shortcut can be."""
    binding = binding if isinstance(binding, KeyBinding) else KeyBinding.from_str(str(binding))
    return normal(QKeyBindingSequence(binding).toString(PORTABLE))
