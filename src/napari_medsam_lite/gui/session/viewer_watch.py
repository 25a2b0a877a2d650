"""What happens to the viewer and its images, while the session is open."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from napari.layers import Image, Layer

from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.gui.viewer.geometry import shown_axis


class ViewerWatch:
    """Keeps the list of images in `state` in step with the viewer.

    Parameters
    ----------
    viewer : napari.Viewer or napari.components.ViewerModel
        What is listened to, between `open` and `close`.
    state : SessionState
        What is kept in step.
    added, removed : callable
        Told of each layer that is added, or removed.
    replaced : callable
        Told of each image whose voxels were replaced.
    stepped : callable
        Told the axis that the viewer steps through, when it or the image may be another.
    """

    def __init__(
        self,
        viewer: Any,
        state: SessionState,
        added: Callable[[Layer], None],
        removed: Callable[[Layer], None],
        replaced: Callable[[Image], None],
        stepped: Callable[[int], None],
    ) -> None:
        self._viewer, self._state = viewer, state
        self._tell_added, self._tell_removed = added, removed
        self._tell_replaced, self._tell_axis = replaced, stepped
        state.events.image.connect(self._on_view)

    def open(self) -> None:
        """Begin to listen, and look at what is there."""
        for event, callback in self._viewer_events():
            event.connect(callback)
        for layer in self._viewer.layers:
            self._listen(layer)
        self._offer_images()

    def close(self) -> None:
        """Listen no more."""
        for event, callback in self._viewer_events():
            event.disconnect(callback)
        for layer in self._viewer.layers:
            self._listen_no_more(layer)

    def _viewer_events(self) -> list[tuple[Any, Callable[..., None]]]:
        layers, dims = self._viewer.layers.events, self._viewer.dims.events
        return [
            (layers.inserted, self._on_inserted),
            (layers.removed, self._on_removed),
            (layers.reordered, self._offer_images),
            (dims.order, self._on_view),
            (dims.ndisplay, self._on_view),
        ]

    def _listen(self, layer: Layer) -> None:
        layer.events.name.connect(self._offer_images)
        if isinstance(layer, Image):
            layer.events.data.connect(self._on_data)

    def _listen_no_more(self, layer: Layer) -> None:
        layer.events.name.disconnect(self._offer_images)
        if isinstance(layer, Image):
            layer.events.data.disconnect(self._on_data)

    def _on_inserted(self, event: Any) -> None:
        self._listen(event.value)
        self._offer_images()
        self._tell_added(event.value)

    def _on_removed(self, event: Any) -> None:
        self._listen_no_more(event.value)
        self._offer_images()
        self._tell_removed(event.value)

    def _on_data(self, event: Any) -> None:
        """Voxels were replaced; by others of the same array perhaps."""
        self._tell_replaced(event.source)
        self._on_view()

    def _offer_images(self, *_: object) -> None:
        """List the images anew, also when only a name has changed; choose the first if none is."""
        images = tuple(layer for layer in self._viewer.layers if isinstance(layer, Image))
        self._state.images = images
        self._state.events.images.emit(images, images)
        if self._state.image not in images:
            self._state.image = next(iter(images), None)

    def _on_view(self, *_: object) -> None:
        """Tell the axis that the viewer steps through now."""
        if self._state.image is not None:
            with suppress(MedSAMLiteError):  # the viewer may show the volume in 3D
                self._tell_axis(shown_axis(self._state.image, self._viewer.dims))
