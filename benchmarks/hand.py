"""A hand on a real napari window: mouse and keys go through the X server (needs xdotool)."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from qtpy.QtCore import QPoint
from qtpy.QtWidgets import QAbstractScrollArea, QApplication, QScrollArea, QWidget

BETWEEN_MOVES_S = 0.03
"""vispy drops a move that comes less than 10 ms after the last one."""


class Hand:
    """Presses, drags and types, and counts what it did.

    Parameters
    ----------
    viewer : napari.Viewer
        Shown on an X display without a window manager.
    """

    def __init__(self, viewer: Any) -> None:
        self.viewer = viewer
        self.presses = self.keys = 0
        self.released = 0.0
        """When the button was let go last, by `time.perf_counter`."""

    def take_focus(self) -> None:
        """Without a window manager nobody gives the window the keyboard."""
        self._do("windowfocus", int(self.viewer.window._qt_window.winId()))
        self.wait(0.1)

    def wait(self, seconds: float) -> None:
        """Let napari go on for so long."""
        self.until(lambda: False, seconds, must=False)

    def until(self, done: Callable[[], Any], seconds: float = 120, must: bool = True) -> None:
        """Let napari go on until something is so."""
        end = time.perf_counter() + seconds
        while not done():
            QApplication.processEvents()
            if time.perf_counter() > end:
                if must:
                    raise TimeoutError("It did not happen.")
                return
            time.sleep(0.001)

    def click(self, widget: QWidget) -> None:
        """Press the left button in the middle of a widget, scrolled to if need be."""
        scroll_to(widget)
        self.wait(0.05)
        self.press_at(widget.mapToGlobal(widget.rect().center()))

    def press_at(self, place: QPoint, times: int = 1) -> None:
        """Press and release the left button there."""
        self._do("mousemove", place.x(), place.y())
        self.wait(BETWEEN_MOVES_S)
        self._do("click", "--repeat", times, "--delay", 60, 1)
        self.presses += times
        self.wait(0.1)

    def key(self, keys: str) -> None:
        """One key with what is held, as xdotool names it."""
        self._do("key", "--clearmodifiers", keys)
        self.keys += 1
        self.wait(0.1)

    def type(self, text: str) -> None:
        """Type into whatever has the focus."""
        self._do("type", "--delay", 20, text)
        self.keys += len(text)
        self.wait(0.1)

    def drag(self, layer: Any, start: Any, end: Any, steps: int = 8) -> None:
        """Drag with the left button between two places in a layer's data coordinates."""
        first, last = (np.array(self.on_screen(layer, place)) for place in (start, end))
        self._do("mousemove", *first)
        self.wait(BETWEEN_MOVES_S)
        self._do("mousedown", 1)
        self.wait(BETWEEN_MOVES_S)
        for way in ways(steps):
            self._do("mousemove", *np.round(first + (last - first) * way).astype(int))
            self.wait(BETWEEN_MOVES_S)
        child = self._begin("mouseup", 1)
        self.released = time.perf_counter()
        self.presses += 1
        self.until(lambda: child.poll() is not None)

    def on_screen(self, layer: Any, place: Any) -> tuple[int, int]:
        """Where a place in a layer's data coordinates is on the screen."""
        canvas = self.viewer.window._qt_viewer.canvas
        world = np.asarray(layer.data_to_world(place), float)
        y, x = world[list(self.viewer.dims.displayed)]
        mapped = (canvas.view.transform * canvas.view.scene.transform).map([x, y, 0, 1])
        pixel = np.asarray(mapped[:2]) / mapped[3]
        point = canvas.native.mapToGlobal(QPoint(round(float(pixel[0])), round(float(pixel[1]))))
        return point.x(), point.y()

    def picture(self, path: Any) -> None:
        """The whole screen, menus and all."""
        self.wait(0.4)
        QApplication.primaryScreen().grabWindow(0).save(str(path))

    def _do(self, *words: Any) -> None:
        child = self._begin(*words)
        self.until(lambda: child.poll() is not None)

    @staticmethod
    def _begin(*words: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(["xdotool", *map(str, words)])


def ways(steps: int) -> list[float]:
    """How far of its way a hand has come, in equal times: minimum jerk (Flash and Hogan, 1985)."""
    return [10 * t**3 - 15 * t**4 + 6 * t**5 for t in np.arange(1, steps + 1) / steps]


def scroll_to(widget: QWidget) -> None:
    area = widget.parentWidget()
    while area is not None and not isinstance(area, QScrollArea):
        area = area.parentWidget()
    if isinstance(area, QAbstractScrollArea):
        area.ensureWidgetVisible(widget)
