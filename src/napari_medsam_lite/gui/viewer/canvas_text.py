"""A line of text on napari's canvas, if the user has none there."""

from __future__ import annotations

from typing import Any


class CanvasText:
    """The viewer's text overlay, as long as it is ours.

    Parameters
    ----------
    viewer : napari.Viewer or napari.components.ViewerModel
        Whose canvas.
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._text = ""

    def show(self, text: str) -> None:
        """Write `text` in place of what was written here before; empty takes it away."""
        overlay = _overlay(self._viewer)
        if overlay.text not in ("", self._text):
            return  # the user's own
        if text or self._text:  # who shows an empty overlay may do so
            overlay.text, overlay.visible = text, bool(text)
        self._text = text


def _overlay(viewer: Any) -> Any:
    """The text overlay, which has moved in napari 0.9."""
    overlays = getattr(getattr(viewer, "canvas", None), "overlays", None)
    return viewer.text_overlay if overlays is None else overlays.text
