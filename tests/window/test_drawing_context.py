"""What a removed layer had on the graphics card is deleted where it was made."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtGui import QOffscreenSurface, QOpenGLContext
from qtpy.QtOpenGLWidgets import QOpenGLWidget


@pytest.fixture
def foreign():
    """Another context, and the surface that makes it current."""
    surface, context = QOffscreenSurface(), QOpenGLContext()
    surface.create()
    assert context.create()
    yield context, surface
    context.doneCurrent()


@pytest.fixture
def window(open_window):
    return open_window[0]()


@pytest.mark.parametrize("floats", [False, True])
def test_a_layer_is_removed_in_the_canvas_s_context(window, foreign, floats):
    window.dock.setFloating(floats)
    canvas = window.viewer.window._qt_window.centralWidget().findChild(QOpenGLWidget)
    layer = window.viewer.add_points(np.zeros((1, 2)))
    window.qtest.qWait(50)
    seen = []
    window.viewer.layers.events.removed.connect(
        lambda: seen.append(QOpenGLContext.currentContext() is canvas.context()), position="first"
    )
    context, surface = foreign
    assert context.makeCurrent(surface)
    window.viewer.layers.remove(layer)
    assert seen == [True]


def test_a_closed_dock_leaves_removing_alone(window):
    held = len(window.viewer.layers.events.removing.callbacks)
    window.dock.destroyOnClose()
    assert len(window.viewer.layers.events.removing.callbacks) < held
