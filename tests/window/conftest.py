"""A real napari window, driven with mouse events."""

from __future__ import annotations

import os
import sys
import threading
import time

import numpy as np
import pytest

from napari_medsam_lite.core.boxes import Box2D
from napari_medsam_lite.gui.thread.worker import THREAD_NAME
from napari_medsam_lite.gui.viewer.drawn_boxes import rectangle
from napari_medsam_lite.gui.viewer.geometry import Plane

MOVE_MS = 25  # vispy drops moves that come less than 10 ms after the last one


def no_window() -> str | None:
    """Why no window can be opened here; Qt would abort instead of failing."""
    if sys.platform != "linux":
        return None
    if os.environ.get("QT_QPA_PLATFORM") in ("offscreen", "minimal"):
        return "this Qt platform has no OpenGL"
    if not os.environ.get("DISPLAY") and not os.environ.get("WAYLAND_DISPLAY"):
        return "there is no display: install xvfb and pytest-xvfb"
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.path.parent.name == "window" and (reason := no_window()):
        pytest.skip(reason)


class Window:
    """A viewer with the dock widget, and a hand on the mouse."""

    def __init__(self, viewer, qtbot) -> None:
        from qtpy.QtTest import QTest

        self.viewer, self.qtbot, self.qtest = viewer, qtbot, QTest
        viewer.window._qt_window.resize(1400, 950)
        self.dock, self.widget = viewer.window.add_plugin_dock_widget(
            "napari-medsam-lite", "Segment"
        )
        self.state = self.widget.state
        self.state.preset = "openvino"
        QTest.qWait(100)

    def part(self, name):
        from qtpy.QtWidgets import QWidget

        (found,) = self.widget.findChildren(QWidget, name)
        return found

    def press(self, name) -> None:
        from qtpy.QtCore import Qt

        assert self.part(name).isVisible()
        self.qtbot.waitUntil(self.part(name).isEnabled)
        self.qtest.mouseClick(self.part(name), Qt.MouseButton.LeftButton)

    def finish(self) -> None:
        self.qtbot.waitUntil(lambda: not self.state.busy, timeout=120_000)
        assert not self.state.is_problem, self.state.message
        self.qtbot.waitUntil(lambda: self.state.message in self.part("status").text())

    def show_slice(self, axis: int, index: int) -> None:
        """Look at slice `index` across a data axis of the chosen image."""
        dims = self.viewer.dims
        dims.order = (axis, *(a for a in range(3) if a != axis))
        point = self.state.image.data_to_world([index if a == axis else 0 for a in range(3)])
        dims.set_point(axis, point[axis])
        self.viewer.reset_view()
        self.qtest.qWait(50)

    def draw(self, box: Box2D, axis: int, index: int) -> None:
        """Drag a rectangle on the canvas from one corner of `box` to the other."""
        from qtpy.QtCore import QPoint, Qt

        corners = rectangle(box, Plane(axis, index))
        start, end = (self._canvas_point(corners[i]) for i in (0, 2))
        native = self.viewer.window._qt_viewer.canvas.native
        way = [start + (end - start) * i / 6 for i in range(7)]
        points = [QPoint(*np.round(point).astype(int).tolist()) for point in way]
        left, bare = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        self.qtest.mouseMove(native, points[0])
        self.qtest.qWait(MOVE_MS)
        self.qtest.mousePress(native, left, bare, points[0])
        for point in points[1:]:
            self.qtest.qWait(MOVE_MS)
            self.qtest.mouseMove(native, point)
        self.qtest.qWait(MOVE_MS)
        self.qtest.mouseRelease(native, left, bare, points[-1])
        self.qtest.qWait(MOVE_MS)

    def click(self, y: int, x: int, axis: int, index: int) -> None:
        """Press and release the left button on a voxel of a slice."""
        from qtpy.QtCore import QPoint, Qt

        corner = rectangle(Box2D(y, x, y + 1, x + 1), Plane(axis, index))[0]
        place = QPoint(*np.round(self._canvas_point(corner)).astype(int).tolist())
        native = self.viewer.window._qt_viewer.canvas.native
        self.qtest.mouseMove(native, place)
        self.qtest.qWait(MOVE_MS)
        self.qtest.mouseClick(
            native, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place
        )
        self.qtest.qWait(MOVE_MS)

    def labels(self):
        return self.viewer.layers[f"{self.state.image.name} labels"]

    def slices_with(self, label: int, axis: int = 0) -> list[int]:
        others = tuple(a for a in range(3) if a != axis)
        return np.flatnonzero((self.labels().data == label).any(axis=others)).tolist()

    def _canvas_point(self, data_point):
        canvas = self.viewer.window._qt_viewer.canvas
        world = np.asarray(self.state.image.data_to_world(data_point))
        y, x = world[list(self.viewer.dims.displayed)]
        mapped = np.asarray((canvas.view.transform * canvas.view.scene.transform).map([x, y, 0, 1]))
        return mapped[:2] / mapped[3]


@pytest.fixture
def open_window(make_napari_viewer, qtbot):
    """Call it once the viewer has its layers, or before; gives a `Window`."""
    viewer = make_napari_viewer(show=True)
    return lambda: Window(viewer, qtbot), viewer


@pytest.fixture(autouse=True)
def no_leaked_threads():
    yield
    end = time.monotonic() + 60
    while any(t.name.startswith(THREAD_NAME) for t in threading.enumerate()):
        assert time.monotonic() < end, "the worker thread outlived its window"
        time.sleep(0.02)


@pytest.fixture(scope="session")
def phantom():
    from napari_medsam_lite.sample.ct import ct_phantom

    return ct_phantom()
