"""Reading ahead: while the user looks and draws, slices are encoded from the one shown outwards.

It starts with Add boxes and after a run, with the image, window, axis and preset of that moment, so
that nothing is encoded that nobody asked for; another window, preset or image ends it until one of
the two comes again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari.layers import Image

from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.gui.session.work import Request, Work
from napari_medsam_lite.gui.thread.runner import JobRunner
from napari_medsam_lite.gui.viewer.geometry import shown_plane
from napari_medsam_lite.gui.viewer.image_layers import Companions


class ReadAhead:
    """Keeps the runner's idle work in step with what the user looks at.

    Nothing is read ahead while the user's selected layer is none of this session's: then the user
    works with something else.
    """

    def __init__(
        self,
        viewer: Any,
        state: SessionState,
        runner: JobRunner,
        work: Work,
        companions: Companions,
    ) -> None:
        self._viewer, self._state, self._runner = viewer, state, runner
        self._work, self._companions = work, companions
        self._followed: tuple[Request, Image] | None = None
        runner.idled.connect(self._tell)
        for name in ("image", "window", "preset", "device", "on_disk"):
            getattr(state.events, name).connect(self.stop)
        state.events.read_ahead.connect(self._go)
        for event, callback in self._viewer_events():
            event.connect(callback)

    def follow(self, request: Request, image: Image) -> None:
        """Read ahead what a next run like `request` would need."""
        self._followed = request, image
        self._go()

    def stop(self, *_: object) -> None:
        """Read ahead no more, until the next run."""
        self._followed = None
        self._go()

    def close(self) -> None:
        """Listen to the viewer no more."""
        for event, callback in self._viewer_events():
            event.disconnect(callback)

    def _viewer_events(self) -> list[tuple[Any, Callable[..., None]]]:
        return [
            (self._viewer.dims.events.current_step, self._go),
            (self._viewer.layers.selection.events.active, self._go),
        ]

    def _go(self, *_: object) -> None:
        """Start anew from the slice shown, or pause."""
        index = self._index()
        if self._followed is None or index is None:
            self._runner.idle(None)
            self._state.ahead = ""
            return
        request = self._followed[0]
        self._runner.idle(lambda: self._work.read_ahead(request, index), self._work.interrupt)

    def _index(self) -> int | None:
        """The slice to start from; None if nothing is to be read ahead."""
        if self._followed is None or not self._state.read_ahead:
            return None
        request, image = self._followed
        ours = (image, self._companions.boxes(image), self._companions.labels(image))
        active = self._viewer.layers.selection.active
        # By equality, for napari hands a widget the viewer and what hangs on it inside proxies.
        if active is None or active not in ours:
            return None
        try:
            plane = shown_plane(image, self._viewer.dims)
        except MedSAMLiteError:
            return None
        return plane.index if plane.axis == request.axis else None

    def _tell(self, sentence: str) -> None:
        if self._followed is not None:
            self._state.ahead = sentence
