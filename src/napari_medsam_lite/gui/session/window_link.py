"""WindowLink: what the image shows and what the network sees are one window."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
from napari.layers import Image
from psygnal import Signal

from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.core.settings import AUTO
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.core.window import WINDOWS, CTWindow, parse_window, window_named
from napari_medsam_lite.gui.session.state import AS_SHOWN, SessionState
from napari_medsam_lite.gui.viewer.canvas_text import CanvasText
from napari_medsam_lite.gui.viewer.geometry import finest, glance, held_by
from napari_medsam_lite.gui.viewer.window_drag import WindowDrag

NEARLY_NONE = 0.01
"""napari looks at some slices of a large image only, so its limits may miss a few voxels."""


class WindowLink:
    """Keeps the state's window and the contrast limits of the chosen image in step.

    A window that is chosen becomes the contrast limits; contrast limits that the user changes
    become the window ``"as shown"``. Every image keeps its own. The voxels are not touched. Level
    and width stand on the canvas, and are dragged there with Shift and the right button.

    Parameters
    ----------
    viewer : napari.Viewer or napari.components.ViewerModel
        Where the image is.
    state : SessionState
        Holds the image that is chosen and its window.
    """

    moved = Signal(object)
    """Level and width as they are shown now, or None if the image has none."""

    def __init__(self, viewer: Any, state: SessionState) -> None:
        self._state = state
        self._text = CanvasText(viewer)
        self._drag = WindowDrag(viewer, lambda: self.shown, self.preview, self.choose)
        self._image: Image | None = None
        self._windows: dict[Image, str] = {}
        self._setting = False
        self._told: tuple[float, float] | None = None
        self._coarse: tuple[Any, Volume] | None = None

    def open(self) -> None:
        """Begin, with the image that is chosen."""
        self._state.events.image.connect(self._on_image)
        self._state.events.images.connect(self._on_images)
        self._state.events.window.connect(self._on_window)
        self._drag.open()
        self._on_image()

    def close(self) -> None:
        """End; the image stays as it is shown."""
        self._state.events.image.disconnect(self._on_image)
        self._state.events.images.disconnect(self._on_images)
        self._state.events.window.disconnect(self._on_window)
        self._drag.close()
        self._follow(None)

    @property
    def shown(self) -> tuple[float, float] | None:
        """Level and width of what the image shows from black to white; None for colours."""
        if self._image is None or self._image.rgb:
            return None
        low, high = map(float, self._image.contrast_limits)
        return (low + high) / 2, high - low

    @property
    def of_file(self) -> str | None:
        """The window that the file of the image brought, as the state has it; None if none."""
        held = None if self._image is None else held_by(self._image).get("window")
        return None if held is None else _named(CTWindow(*held))

    def choose(self, level: float, width: float) -> None:
        """Make level and width the window.

        Raises
        ------
        UnsupportedImageError
            If the width is not positive.
        """
        self._state.window = _named(CTWindow(level, width))

    def choose_number(self, number: int) -> None:
        """Choose the window that is `number` in the list, from 1; no more than there are."""
        self._state.window = list(WINDOWS)[number - 1]

    def preview(self, level: float, width: float) -> None:
        """Show level and width without choosing them yet, as long as a drag goes on."""
        self._show(level - width / 2, level + width / 2)

    def _on_image(self, *_: object) -> None:
        image = self._state.image
        self._follow(image)
        if image is None:
            return
        if image in self._windows:
            self._set_window(self._windows[image])  # it is shown so already
            return
        self._set_window(AUTO)
        # What cannot be segmented is told when the user asks for that, not for looking at it.
        with suppress(MedSAMLiteError):
            # Else someone has chosen what to see; the file's window, a lung's perhaps, is offered.
            if not image.rgb and (self._shows_as_file() or self._shows_all(image)):
                self._apply(AUTO)

    def _shows_as_file(self) -> bool:
        shown = self.shown
        return shown is not None and self.of_file == _named(CTWindow(*shown))

    def _on_images(self, images: tuple[Image, ...], *_: object) -> None:
        """Forget the windows of images that are gone."""
        self._windows = {i: window for i, window in self._windows.items() if i in images}

    def _on_window(self, window: str, *_: object) -> None:
        if self._image is not None:
            self._windows[self._image] = window
            if not self._setting:
                self._apply(window)

    def _on_contrast(self, *_: object) -> None:
        if not self._setting:
            self._set_window(AS_SHOWN)
        self._tell()

    def _follow(self, image: Image | None) -> None:
        """Listen to the contrast limits of `image`, and no longer to another's."""
        if self._image is not None:
            self._image.events.contrast_limits.disconnect(self._on_contrast)
        self._image, self._coarse = image, None
        if image is not None:
            image.events.contrast_limits.connect(self._on_contrast)
        self._tell()

    def _set_window(self, window: str) -> None:
        """Say in the state what is shown already."""
        self._setting = True
        try:
            self._state.window = window
        finally:
            self._setting = False
        if self._image is not None:
            self._windows[self._image] = window

    def _apply(self, window: str) -> None:
        """Show the image as `window` has it."""
        image = self._image
        if image is None or image.rgb or window == AS_SHOWN:
            return
        try:
            low, high = self._limits(window, image)
        except MedSAMLiteError as error:
            self._state.tell(str(error), problem=True)
        else:
            self._show(low, high)

    def _shows_all(self, image: Image) -> bool:
        """Whether nearly no voxel is beyond the contrast limits, as when napari sets them."""
        low, high = image.contrast_limits
        voxels = self._look(image).sample
        return bool(np.mean((voxels < low) | (voxels > high)) < NEARLY_NONE)

    def _limits(self, text: str, image: Image) -> tuple[float, float]:
        """What becomes black and white; of CT windows without a look at the voxels."""
        window = parse_window(AUTO, self._look(image)) if text == AUTO else window_named(text)
        if isinstance(window, CTWindow):
            return window.level - window.width / 2, window.level + window.width / 2
        limits = window.fit(self._look(image))
        return limits.low, limits.high

    def _look(self, image: Image) -> Volume:
        """The image coarsely, looked at once as long as its voxels are the same."""
        data = finest(image)
        if self._coarse is None or self._coarse[0] is not data:
            self._coarse = data, glance(image)
        return self._coarse[1]

    def _show(self, low: float, high: float) -> None:
        if self._image is None or not low < high:
            return  # an image of one value: napari takes no empty range
        self._setting = True
        try:
            self._image.contrast_limits = low, high
        finally:
            self._setting = False

    def _tell(self) -> None:
        shown = self.shown
        if shown == self._told:
            return  # napari tells twice where it widens the range of its slider
        self._told = shown
        self._text.show("" if shown is None else f"L {shown[0]:.5g}  W {shown[1]:.5g}")
        self.moved.emit(shown)


def _named(window: CTWindow) -> str:
    return f"{window.level:.6g},{window.width:.6g}"
