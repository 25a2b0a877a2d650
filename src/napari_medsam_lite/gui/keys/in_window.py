"""Keys of a dock in napari's main window, wherever in it the focus is."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QAction, QKeyEvent, QKeySequence
from qtpy.QtWidgets import QAbstractSpinBox, QApplication, QDateTimeEdit, QMainWindow, QWidget

from napari_medsam_lite.gui.keys.taken import PORTABLE

OF_NUMBERS = frozenset("0123456789+-.,")


class KeysInWindow(QObject):  # type: ignore[misc]
    """Keys of the main window that their owner is in; they go when it goes.

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
        self._do = do
        self._held: list[QAction] = []
        self._keys: dict[str, str] = {}
        self._window: weakref.ref[QWidget] | None = None
        self._spin: QWidget | None = None
        owner.installEventFilter(self)
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
        self._drop()
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
        window = main_window(self.parent())
        self._drop()
        if window is None:
            return
        # Weakly: else Python frees the window in a cycle, from the inside out, and crashes.
        self._window = weakref.ref(window)
        for name, key in self._keys.items():
            if key:
                action = self._action(name, key)
                self._held.append(action)
                window.addAction(action)

    def _action(self, name: str, key: str) -> QAction:
        """An action of the window's, but owned here: Qt takes it from the window when this goes."""
        do, action = self._do, QAction(self)
        action.setShortcut(QKeySequence(key, PORTABLE))
        action.setShortcutContext(Qt.ShortcutContext.WindowShortcut)
        action.setAutoRepeat(False)
        action.triggered.connect(lambda: (method := do()) and method(name))
        return action

    def _drop(self) -> None:
        window = None if self._window is None else self._window()
        for action in self._held:
            if window is not None and is_alive(window):
                window.removeAction(action)
            action.deleteLater()
        self._held = []

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


def main_window(widget: QWidget | None) -> QMainWindow | None:
    """The main window that a widget is in, also where its dock floats; None if in none."""
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
