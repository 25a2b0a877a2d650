"""What a person does to a Shapes layer of boxes, told when it is done and while it goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from napari.layers import Shapes
from qtpy.QtCore import QTimer

from napari_medsam_lite.gui.viewer.box_layer import DRAWING, SELECTING, is_drawing
from napari_medsam_lite.gui.viewer.clicks import drop_a_click


class BoxWatch:
    """Listens to the layer until `close`.

    Parameters
    ----------
    shapes : Shapes
        The layer.
    changed : callable
        Is called when boxes may have been changed.
    moved : callable
        Is called again and again while the mouse moves a box.
    """

    def __init__(
        self, shapes: Shapes, changed: Callable[[], None], moved: Callable[[], None]
    ) -> None:
        self._shapes, self._changed, self._moved = shapes, changed, moved
        self._quiet, self._is_open = False, True
        shapes.events.data.connect(self._on_boxes)
        shapes.events.features.connect(self._on_features)
        shapes.mouse_drag_callbacks.append(self._on_drag)

    def close(self) -> None:
        """Listen no more."""
        self._is_open = False
        self._shapes.events.data.disconnect(self._on_boxes)
        self._shapes.events.features.disconnect(self._on_features)
        self._shapes.mouse_drag_callbacks.remove(self._on_drag)

    @contextmanager
    def unheard(self) -> Iterator[None]:
        """What is done to the layer meanwhile, no person did."""
        before, self._quiet = self._quiet, True
        try:
            yield
        finally:
            self._quiet = before

    def _tell(self) -> None:
        if self._is_open and not self._quiet:
            self._changed()

    def _on_boxes(self, event: Any) -> None:
        action = str(getattr(event.action, "value", event.action))
        if self._quiet or action not in ("added", "changed", "removed"):
            return
        if action == "added" and event.source.mode in DRAWING:
            # Later, for napari is still busy with the shape that it has just finished.
            QTimer.singleShot(0, self._after_drawing)
        else:
            self._tell()

    def _after_drawing(self) -> None:
        if self._is_open:
            with self.unheard():
                drop_a_click(self._shapes)
            self._tell()

    def _on_drag(self, shapes: Shapes, event: Any) -> Iterator[None]:
        """A box that the mouse moves is answered on the way; napari tells its end."""
        yield
        while event.type == "mouse_move":
            if shapes.mode in SELECTING and shapes.selected_data:
                self._moved()
            yield

    def _on_features(self, _: Any) -> None:
        """A person pasted boxes, or changed a box's number in napari's table of features."""
        # While a box is drawn it is not done yet; its end is told.
        if not is_drawing(self._shapes):
            self._tell()
