"""Level and width by the mouse: Shift and the right button, dragged on the canvas."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from qtpy.QtCore import QTimer

HELD = ("Shift",)
"""napari zooms with the right button alone, and uses Alt and Ctrl in other ways."""
RIGHT = 2
PIXELS = 300
"""A drag over so many doubles the width, or moves the level by the width."""

Window = tuple[float, float]


class WindowDrag:
    """Right widens the window, left narrows it; up shows all brighter, down darker.

    Parameters
    ----------
    viewer : napari.Viewer or napari.components.ViewerModel
        On whose canvas.
    begin : callable
        Gives level and width as they are; None if there is nothing to change.
    move, end : callable
        Take level and width while the mouse moves, and when the button is released.
    """

    def __init__(
        self,
        viewer: Any,
        begin: Callable[[], Window | None],
        move: Callable[[float, float], None],
        end: Callable[[float, float], None],
    ) -> None:
        self._viewer = viewer
        self._begin, self._move, self._end = begin, move, end

    def open(self) -> None:
        """Begin to listen."""
        self._viewer.mouse_drag_callbacks.append(self._drag)

    def close(self) -> None:
        """Listen no more."""
        self._viewer.mouse_drag_callbacks.remove(self._drag)

    def _drag(self, viewer: Any, event: Any) -> Iterator[None]:
        start = self._begin() if _is_ours(event) else None
        if start is None:
            return
        _keep_out(viewer.layers.selection.active)
        pressed, window = np.array(event.pos), None
        event.handled = True
        yield
        while event.type == "mouse_move":
            window = dragged(start, *(np.array(event.pos) - pressed))
            self._move(*window)
            event.handled = True
            yield
        if window is not None:
            self._end(*window)


def dragged(window: Window, right: float, down: float) -> Window:
    """Level and width after a drag of so many pixels from where they were `window`."""
    level, width = window
    return level + width * down / PIXELS, width * 2.0 ** (right / PIXELS)


def _is_ours(event: Any) -> bool:
    held = tuple(getattr(key, "name", key) for key in event.modifiers)
    return event.button == RIGHT and held == HELD


def _keep_out(layer: Any) -> None:
    """Let the active layer not see this press: with a drawing tool it would begin a shape.

    napari hands the press to the layer right after the viewer, in the same call.
    """
    if layer is None:
        return
    callbacks = layer.mouse_drag_callbacks
    held = list(callbacks)
    callbacks.clear()
    QTimer.singleShot(0, lambda: callbacks.extend(h for h in held if h not in callbacks))
