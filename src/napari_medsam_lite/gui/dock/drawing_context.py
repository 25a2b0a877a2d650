"""Makes napari's drawing context the current one before a layer is removed.

napari (0.6.3 to 0.9 at least) deletes what a removed layer had on the graphics card in whatever
OpenGL context happens to be current, often Qt's own one for the whole window. A program that is
deleted there, while it is still in use on the canvas, crashed the next drawing (Mesa's llvmpipe).
"""

from __future__ import annotations

import weakref
from typing import Any

from qtpy.QtOpenGLWidgets import QOpenGLWidget
from qtpy.QtWidgets import QWidget

from napari_medsam_lite.gui.keys.in_window import main_window


class DrawingContext:
    """Sees to it from `open` to `close`.

    Parameters
    ----------
    viewer : napari.Viewer or napari.components.ViewerModel
        Whose layers.
    owner : QWidget
        In napari's window, beside its canvas. It is held weakly.
    """

    def __init__(self, viewer: Any, owner: QWidget) -> None:
        self._removing = viewer.layers.events.removing
        self._owner = weakref.ref(owner)

    def open(self) -> None:
        """Begin; more than once is the same as once."""
        self._removing.connect(self._on_removing)

    def close(self) -> None:
        """End."""
        self._removing.disconnect(self._on_removing)

    def _on_removing(self) -> None:
        window = main_window(self._owner())
        if window is not None and (middle := window.centralWidget()) is not None:
            for canvas in middle.findChildren(QOpenGLWidget):
                canvas.makeCurrent()
