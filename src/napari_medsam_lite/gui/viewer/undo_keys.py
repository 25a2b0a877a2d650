"""Ctrl+Z and Ctrl+Shift+Z on the layers of an image: napari's own would take strokes alone."""

from __future__ import annotations

from collections.abc import Callable

from app_model.types import KeyCode, KeyMod
from napari.layers import Layer

UNDO = KeyMod.CtrlCmd | KeyCode.KeyZ
REDO = KeyMod.CtrlCmd | KeyMod.Shift | KeyCode.KeyZ


class UndoKeys:
    """Two keys on each of some layers.

    Parameters
    ----------
    undo, redo : callable
        What they do.
    """

    def __init__(self, undo: Callable[[], None], redo: Callable[[], None]) -> None:
        self._undo, self._redo = undo, redo
        self._layers: list[Layer] = []

    def add(self, layer: Layer) -> None:
        """Take the keys of `layer`."""
        if layer not in self._layers:
            self._layers.append(layer)
            layer.bind_key(UNDO, lambda _: self._undo(), overwrite=True)
            layer.bind_key(REDO, lambda _: self._redo(), overwrite=True)

    def remove(self, layer: Layer) -> None:
        """Give the keys back to napari."""
        if layer in self._layers:
            self._layers.remove(layer)
            layer.bind_key(UNDO, None)
            layer.bind_key(REDO, None)

    def clear(self) -> None:
        """Give all keys back."""
        for layer in list(self._layers):
            self.remove(layer)
