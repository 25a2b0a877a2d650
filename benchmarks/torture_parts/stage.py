"""A real napari window with the dock in it, and a hand on its mouse and keys."""

from __future__ import annotations

import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from napari_medsam_lite.core.errors import MedSAMLiteError

MOVE_S = 0.015
"""vispy drops moves that come less than 10 ms after the last one."""
PATIENCE_S, LEAST_ROUNDS = 40.0, 1000


class Stage:
    """Opens the window at once; `widget` is None while the dock is closed.

    Parameters
    ----------
    heartbeat : Heartbeat
        Is not to count what the harness does for itself.
    """

    def __init__(self, heartbeat: Any) -> None:
        import napari

        from napari_medsam_lite.gui.dock import controls

        self.heartbeat = heartbeat
        self.random = random.Random(0)
        self.counts: Counter[str] = Counter()
        self.folder = Path(tempfile.mkdtemp(prefix="torture-"))
        # A modal question would wait for a person.
        controls.ask = lambda *_: self.random.random() < 0.5
        self.viewer = napari.Viewer(show=True)
        self.viewer.window._qt_window.resize(820, 600)
        self._docked: Any = None
        self.widget: Any = None

    @property
    def session(self) -> Any:
        """Of the dock, which is opened if it is not."""
        if self.widget is None:
            self.open_dock()
        return self.widget.session

    @property
    def state(self) -> Any:
        """Of the dock."""
        return self.session.state

    def desk(self) -> Any | None:
        """The chosen image's desk, or None where nothing of it is shown."""
        with suppress(MedSAMLiteError):
            return self.session.desks.chosen()
        return None

    def open_dock(self) -> None:
        """Put the dock into the window."""
        self._docked, self.widget = self.viewer.window.add_plugin_dock_widget(
            "napari-medsam-lite", "Segment"
        )

    def close_dock(self) -> None:
        """Take it out as a person does."""
        docked, self._docked, self.widget = self._docked, None, None
        if docked is not None:
            docked.destroyOnClose()

    def pump(self, seconds: float = 0.0) -> None:
        """Let the event loop go on."""
        from qtpy.QtWidgets import QApplication

        end = time.monotonic() + seconds
        while True:
            QApplication.processEvents()
            if time.monotonic() >= end:
                return
            time.sleep(0.002)

    def until(self, holds: Callable[[], bool], seconds: float = PATIENCE_S) -> bool:
        """Whether it came to hold in time; a process that was stopped meanwhile is not late."""
        end, rounds = time.monotonic() + seconds, 0
        while not holds():
            if time.monotonic() > end and rounds > LEAST_ROUNDS:
                return False
            self.pump(0.004)
            rounds += 1
        return True

    def is_at_work(self) -> bool:
        """Whether a run or an answer is on its way."""
        return self.widget is not None and (self.state.busy or self.session.runs.live.waits)

    def is_restoring(self) -> bool:
        """Whether unsaved work is on its way back to a desk."""
        return self.widget is not None and self.session.autosave._reading is not None

    def settle(self) -> bool:
        """Wait for what is on its way; whether it came."""
        return self.until(lambda: not self.is_at_work() and not self.is_restoring())

    def told(self, act: Callable[..., object], *arguments: object) -> None:
        """Do what a button or a key does: an expected error becomes a sentence."""
        self.session.told(lambda: act(*arguments))

    def part(self, name: str) -> Any | None:
        """The dock's control of that name."""
        from qtpy.QtWidgets import QWidget

        return None if self.widget is None else self.widget.findChild(QWidget, name)

    def press(self, name: str) -> None:
        """Click a button of the dock, if it can be clicked."""
        button = self.part(name)
        if button is not None and button.isEnabled():
            button.click()

    def key(self, name: str) -> None:
        """Press a key over the canvas; the focus is there."""
        from qtpy.QtCore import Qt
        from qtpy.QtGui import QKeySequence
        from qtpy.QtTest import QTest

        keys = QKeySequence(name)[0]
        native = self.viewer.window._qt_viewer.canvas.native
        QTest.keyClick(native, Qt.Key(keys.key()), keys.keyboardModifiers())

    def canvas_point(self, world: Any) -> Any:
        """Where a point of the world is on the canvas."""
        canvas = self.viewer.window._qt_viewer.canvas
        y, x = np.asarray(world, float)[list(self.viewer.dims.displayed)]
        mapped = np.asarray((canvas.view.transform * canvas.view.scene.transform).map([x, y, 0, 1]))
        return mapped[:2] / mapped[3]

    def point_of(self, layer: Any, place: Any) -> Any:
        """Where a point of a layer is on the canvas."""
        world = np.array(self.viewer.dims.point, float)
        world[-layer.ndim :] = layer.data_to_world(place)
        return self.canvas_point(world)

    def drag(self, start: Any, end: Any, steps: int = 3) -> None:
        """Press, move and release the left button over the canvas."""
        from qtpy.QtCore import QPoint, Qt
        from qtpy.QtTest import QTest

        native = self.viewer.window._qt_viewer.canvas.native
        most = [native.width() - 3, native.height() - 3]
        start, end = (np.clip(point, 2, most) for point in (start, end))
        way = [start + (end - start) * i / steps for i in range(steps + 1)]
        points = [QPoint(*np.round(point).astype(int).tolist()) for point in way]
        left, bare = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        QTest.mouseMove(native, points[0])
        self.pump(MOVE_S)
        QTest.mousePress(native, left, bare, points[0])
        for point in points[1:]:
            self.pump(MOVE_S)
            QTest.mouseMove(native, point)
        self.pump(MOVE_S)
        QTest.mouseRelease(native, left, bare, points[-1])
        self.pump(MOVE_S)
        for layer in self.viewer.layers:
            if getattr(layer, "_is_creating", False):  # the drag failed in napari: as Escape does
                layer._finish_drawing()

    def close(self) -> None:
        """Close the window."""
        self._docked = self.widget = None
        self.viewer.close()
        self.pump(0.1)
