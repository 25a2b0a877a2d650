"""Keys of a dock in napari's main window, wherever in it the focus is."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QKeyEvent, QKeySequence, QShortcut
from qtpy.QtWidgets import QAbstractSpinBox, QApplication, QDateTimeEdit, QMainWindow, QWidget

from napari_medsam_lite.gui.keys.taken import PORTABLE

OF_NUMBERS = frozenset("0123456789+-.,")


class KeysInWindow(QObject):  # type: ignore[misc]
    """Shortcuts in the main window that their owner is in; they go when it goes.

    Parameters
    ----------
    owner : QWidget
        Whose window is followed.
    do : WeakMethod
        Told the name of the action whose key was pressed. Weakly, for Qt keeps what listens, and
        the dock hangs on it.
    """

    def __init__(self, owner: QWidget, do: weakref.WeakMethod[Callable[[str], None]]) -> None:
        super().__init__(owner)
        self._do, self._held = do, _Held()
        self._keys: dict[str, str] = {}
        self._window: QWidget | None = None
        self._spin: QWidget | None = None
        owner.installEventFilter(self)
        # Not a method: the owner is half gone by then.
        owner.destroyed.connect(self._held.drop)
        QApplication.instance().focusChanged.connect(self._on_focus)

    def give(self, keys: Mapping[str, str]) -> None:
        """Name the keys of the actions."""
        self._keys = dict(keys)
        self._make()

    def end(self) -> None:
        """Leave nothing behind."""
        if not is_alive(self):
            return
        QApplication.instance().focusChanged.disconnect(self._on_focus)
        self._on_focus(None, None)
        self._held.drop()
        self.setParent(None)
        self.deleteLater()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Look for the window once the owner is shown; free the keys that no number needs."""
        if watched is self.parent():
            if event.type() == QEvent.Type.Show and self._window is None:
                self._make()
            return False
        if event.type() == QEvent.Type.ShortcutOverride and self._is_free(event):
            # A field for numbers would swallow the letter, and then do nothing with it.
            event.ignore()
            return True
        return False

    def _make(self) -> None:
        self._window = _main_window(self.parent())
        self._held.drop()
        if self._window is None:
            return
        for name, key in self._keys.items():
            if key:
                self._held.add(self._shortcut(name, key))

    def _shortcut(self, name: str, key: str) -> QShortcut:
        do = self._do
        shortcut = QShortcut(QKeySequence(key, PORTABLE), self._window)
        shortcut.setContext(Qt.ShortcutContext.WindowShortcut)
        shortcut.setAutoRepeat(False)
        shortcut.activated.connect(lambda: (method := do()) and method(name))
        return shortcut

    def _on_focus(self, _: QWidget | None, now: QWidget | None) -> None:
        """Watch the field of numbers with the focus: all events of the program are too many."""
        if self._spin is not None and is_alive(self._spin):
            self._spin.removeEventFilter(self)
        numbers = isinstance(now, QAbstractSpinBox) and not isinstance(now, QDateTimeEdit)
        self._spin = now if numbers else None
        if self._spin is not None:
            self._spin.installEventFilter(self)

    def _is_free(self, event: QKeyEvent) -> bool:
        text = event.text()
        if not text.isprintable() or text in ("", *OF_NUMBERS):
            return False
        pressed = QKeySequence(event.keyCombination()).toString(PORTABLE)
        # A sign that needs Shift, such as "?", is a key without it.
        return bool({pressed, pressed.removeprefix("Shift+")} & {*self._keys.values()})


class _Held:
    """The shortcuts there are."""

    def __init__(self) -> None:
        self._shortcuts: list[QShortcut] = []

    def add(self, shortcut: QShortcut) -> None:
        """Hold one more."""
        self._shortcuts.append(shortcut)

    def drop(self, *_: object) -> None:
        """Delete them all, but for those that went with their window."""
        for shortcut in self._shortcuts:
            if is_alive(shortcut):
                shortcut.setParent(None)
                shortcut.deleteLater()
        self._shortcuts = []


def _main_window(widget: QWidget | None) -> QWidget | None:
    while widget is not None and not isinstance(widget, QMainWindow):
        widget = widget.parentWidget()
    return widget


def is_alive(thing: QObject) -> bool:
    """Whether Qt has not deleted it yet."""
    try:
        thing.objectName()
    except RuntimeError:  # its C++ half is deleted
        return False
    return True
