"""Reading ahead: while the user looks and draws, what comes next is encoded already.

Add boxes has the network loaded; after a run, what its boxes would need on the other slices is
encoded, from the slice shown outwards. All that with the image, window, axis and preset of that
moment, so that nothing is encoded that nobody asked for; another window, preset or image ends it
until one of the two comes again. While a mouse button is down it rests, for what is drawn then is
to be answered at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

from napari.layers import Image
from qtpy.QtCore import QTimer

from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.gui.session.engine import SessionEngine
from napari_medsam_lite.gui.session.request import Request
from napari_medsam_lite.gui.session.run_report import InUse
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.gui.thread.runner import JobRunner
from napari_medsam_lite.gui.thread.task import Ending, Task
from napari_medsam_lite.gui.thread.worker import post
from napari_medsam_lite.gui.viewer.geometry import shown_plane
from napari_medsam_lite.gui.viewer.image_layers import ImageLayers

RESUME_MS = 300
"""After the button is released; an answer has begun by then."""


class ReadAheadTask(Task):
    """Loads the network, and encodes what the boxes of `request` need from `start` outwards."""

    def __init__(
        self, request: Request, start: int, engine: SessionEngine, state: SessionState
    ) -> None:
        self._request, self._start = request, start
        self._engine, self._state = engine, state
        self._unwanted = threading.Event()

    def work(self) -> Iterator[InUse | str]:
        """Yields what computes, and how far it is."""
        self._unwanted.clear()
        request = self._request
        segmenter = self._engine.load(request.settings, request.snapshot, post, len(request.boxes))
        yield InUse.of(segmenter.load())
        yield "Reading ahead..."
        prepared = self._engine.prepare(request.snapshot, request.settings)
        if not request.boxes:
            yield "The network is ready."
        planes = [box.plane(request.settings.axis) for box in request.boxes]
        outwards = segmenter.encode_outwards(
            prepared, self._start, planes, request.settings.detail, self._unwanted.is_set
        )
        for ready in outwards:
            yield f"Reading ahead: {ready} of {prepared.slice_count} slices are ready."

    def on_items(self, items: list[Any]) -> None:
        """Tell the latest."""
        for item in items:
            if isinstance(item, InUse):
                self._state.in_use = item.text
            else:
                self._state.ahead = item

    def on_ended(self, ending: Ending) -> None:
        """A failure is not told: a run that meets it will. Nor that other work took its place."""
        if ending.how != "finished":
            self._state.ahead = ""

    def interrupt(self) -> None:
        """Cut the encoding in flight short, or the next one."""
        self._unwanted.set()
        self._engine.interrupt()


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
        engine: SessionEngine,
        layers: ImageLayers,
    ) -> None:
        self._viewer, self._state, self._runner = viewer, state, runner
        self._engine, self._layers = engine, layers
        self._followed: tuple[Request, Image] | None = None
        self._task: ReadAheadTask | None = None
        self._pressed = False
        for name in ("image", "window", "preset", "device", "on_disk"):
            getattr(state.events, name).connect(self.stop)
        state.events.read_ahead.connect(self._go)

    def open(self) -> None:
        """Listen to the viewer."""
        self._viewer.mouse_drag_callbacks.append(self._on_press)
        for event, callback in self._viewer_events():
            event.connect(callback)

    def close(self) -> None:
        """Stop, and listen to the viewer no more."""
        self._pressed = False
        self.stop()
        if self._on_press in self._viewer.mouse_drag_callbacks:
            self._viewer.mouse_drag_callbacks.remove(self._on_press)
        for event, callback in self._viewer_events():
            event.disconnect(callback)

    def follow(self, request: Request, image: Image) -> None:
        """Read ahead what a next run like `request` would need."""
        self._followed = request, image
        self._go()

    def stop(self, *_: object) -> None:
        """Read ahead no more, until the next run."""
        self._followed = None
        self._go()

    def _viewer_events(self) -> list[tuple[Any, Callable[..., None]]]:
        return [
            (self._viewer.dims.events.current_step, self._go),
            (self._viewer.layers.selection.events.active, self._go),
        ]

    def _on_press(self, _: object, event: Any) -> Iterator[None]:
        self._pressed, task = True, self._task
        self._rest()
        if task is not None and not self._runner.busy:  # else it waits, and a job computes
            task.interrupt()
        yield
        while event.type == "mouse_move":
            yield
        self._pressed = False
        QTimer.singleShot(RESUME_MS, self._go)

    def _rest(self) -> None:
        if self._task is not None:
            self._runner.stop_idle(self._task)
            self._task = None

    def _go(self, *_: object) -> None:
        """Start anew from the slice shown, or pause."""
        index = self._index()
        self._rest()
        if self._pressed:
            return
        if self._followed is None or index is None:
            self._state.ahead = ""
            return
        self._task = ReadAheadTask(self._followed[0], index, self._engine, self._state)
        self._runner.idle(self._task)

    def _index(self) -> int | None:
        """The slice to start from; None if nothing is to be read ahead."""
        if self._followed is None or not self._state.read_ahead:
            return None
        request, image = self._followed
        active = self._viewer.layers.selection.active
        if active is None or not self._layers.concerns(active, image):
            return None
        try:
            plane = shown_plane(image, self._viewer.dims)
        except MedSAMLiteError:
            return None
        return plane.index if plane.axis == request.settings.axis else None
