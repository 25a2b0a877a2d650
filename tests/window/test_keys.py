"""Keys pressed in napari's own window, and the window dragged on its canvas."""

from __future__ import annotations

import numpy as np
import pytest

from napari_medsam_lite.gui.keys.defaults import DEFAULTS

MOVE_MS = 25


@pytest.fixture
def viewer(make_napari_viewer, qtbot):
    from qtpy.QtWidgets import QApplication

    viewer = make_napari_viewer(show=True)
    viewer.add_image(np.random.default_rng(0).integers(-1000, 1000, (8, 64, 64), np.int16))
    viewer.add_labels(np.zeros((8, 64, 64), np.uint8), name="labels")
    viewer.add_shapes(ndim=3, name="boxes")
    main = viewer.window._qt_window
    main.activateWindow()
    qtbot.waitUntil(lambda: QApplication.activeWindow() is main)
    return viewer


@pytest.fixture
def pressed():
    return []


@pytest.fixture
def dock(viewer, pressed):
    """A dock with all keys, a button and a field for a number."""
    from qtpy.QtWidgets import QPushButton, QSpinBox, QVBoxLayout, QWidget

    from napari_medsam_lite.gui.keys.shortcuts import Shortcuts, actions_of

    dock = QWidget()
    layout = QVBoxLayout(dock)
    for part in (QPushButton("press"), QSpinBox()):
        layout.addWidget(part)
    doings = {name: lambda name=name: pressed.append(name) for name in DEFAULTS}
    shortcuts = Shortcuts(dock, actions_of(doings))
    shortcuts.open()
    viewer.window.add_dock_widget(dock, name="ours")
    yield dock
    shortcuts.close()


@pytest.mark.parametrize("layer", ["labels", "boxes"])
def test_every_key_works_from_everywhere_in_the_window(viewer, dock, pressed, layer):
    from qtpy.QtGui import QKeySequence
    from qtpy.QtTest import QTest
    from qtpy.QtWidgets import QAbstractSpinBox, QPushButton, QSpinBox

    viewer.layers.selection.active = viewer.layers[layer]
    QTest.qWait(MOVE_MS)
    shown = viewer.window._qt_viewer
    places = [shown.canvas.native, shown.layers, dock.findChild(QPushButton)]
    numbers = [dock.findChild(QSpinBox)]
    if layer == "labels":
        controls = shown.controls.widgets[viewer.layers["labels"]]
        numbers.append(controls.findChildren(QAbstractSpinBox)[0])
    for place in places + numbers:
        place.setFocus()
        for name, default in DEFAULTS.items():
            if place in numbers and default.key.endswith("Backspace"):
                continue  # rubs out a digit there
            key = QKeySequence(default.key)[0]
            QTest.keyClick(place, key.key(), key.keyboardModifiers())
            assert pressed == [name], (place, default.key)
            pressed.clear()
    assert len(viewer.layers) == 3


@pytest.fixture
def link(viewer):
    from napari_medsam_lite.gui.session.state import SessionState
    from napari_medsam_lite.gui.session.window_link import WindowLink

    state = SessionState(window="abdomen")
    link = WindowLink(viewer, state)
    link.open()
    state.images = (viewer.layers[0],)
    state.image = viewer.layers[0]
    link.choose(40, 400)
    yield link
    link.close()


@pytest.mark.parametrize("mode", ["add_rectangle", "select", "pan_zoom"])
def test_shift_and_the_right_button_drag_the_window_and_nothing_else(viewer, link, mode):
    from qtpy.QtCore import QPoint, Qt
    from qtpy.QtTest import QTest

    canvas, boxes = viewer.window._qt_viewer.canvas.native, viewer.layers["boxes"]
    boxes.mode = mode
    zoom = viewer.scene.camera.zoom if hasattr(viewer, "scene") else viewer.camera.zoom
    start = QPoint(canvas.width() // 2, canvas.height() // 2)
    right, shift = Qt.MouseButton.RightButton, Qt.KeyboardModifier.ShiftModifier
    QTest.mouseMove(canvas, start)
    QTest.qWait(MOVE_MS)
    QTest.mousePress(canvas, right, shift, start)
    for step in (20, 40, 60):
        QTest.qWait(MOVE_MS)
        drag(canvas, start + QPoint(step, -step // 2), right, shift)
    QTest.qWait(MOVE_MS)
    QTest.mouseRelease(canvas, right, shift, start + QPoint(60, -30))
    QTest.qWait(MOVE_MS)
    level, width = link.shown
    assert level == pytest.approx(40 - 40, abs=4) and width == pytest.approx(400 * 2**0.2, rel=0.02)
    assert len(boxes.data) == 0 and boxes.mode == mode
    assert zoom == (viewer.scene.camera.zoom if hasattr(viewer, "scene") else viewer.camera.zoom)


def drag(canvas, place, button, held):
    """Move the mouse with a button and a key held; QTest moves it without."""
    from qtpy.QtCore import QEvent, QPointF, Qt
    from qtpy.QtGui import QMouseEvent
    from qtpy.QtWidgets import QApplication

    where = QPointF(place)
    everywhere = QPointF(canvas.mapToGlobal(place))
    kind, none = QEvent.Type.MouseMove, Qt.MouseButton.NoButton
    QApplication.sendEvent(canvas, QMouseEvent(kind, where, everywhere, none, button, held))
