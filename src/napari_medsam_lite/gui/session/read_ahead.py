"""Reading ahead: while the user looks and draws, what comes next is encoded already.

Add boxes has the network loaded; after a run, what its boxes would need on the other slices is
encoded, from the slice shown outwards. All that with the image, window, axis and preset of that
moment, so that nothing is encoded that nobody asked for; another window, preset or image ends it
until one of the two comes again. While a mouse button is down it rests, but for a box that is being
drawn: what that needs as it is now is encoded, so that its mask is there when the button is let go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from napari.layers import Image, Shapes
from qtpy.QtCore import QTimer

from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.gui.session.engine import SessionEngine
from napari_medsam_lite.gui.session.read_ahead_task import DrawnTask, ReadAheadTask
from napari_medsam_lite.gui.session.request import Request, in_volume
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.gui.thread.runner import JobRunner
from napari_medsam_lite.gui.viewer.drawn_boxes import drawn_last
from napari_medsam_lite.gui.viewer.geometry import shown_plane
from napari_medsam_lite.gui.viewer.image_layers import ImageLayers

RESUME_MS = 300
"""After the button is released; an answer has begun by then."""

SETTLED_MS = 50
"""A hand that has slowed down so far is about to let go: before that, what is needed changes."""


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
        self._task: ReadAheadTask | DrawnTask | None = None
        self._drawn: DrawnTask | None = None
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
        self._followed = self._drawn = None
        self._go()

    def _viewer_events(self) -> list[tuple[Any, Callable[..., None]]]:
        return [
            (self._viewer.dims.events.current_step, self._go),
            (self._viewer.layers.selection.events.active, self._go),
        ]

    def _on_press(self, _: object, event: Any) -> Iterator[None]:
        self._pressed = True
        self._break_off()
        yield
        while event.type == "mouse_move":
            self._look_at_drawn()
            yield
        self._look_at_drawn()  # napari tells its viewer of a move before the box has followed
        if self._drawn is not None:
            self._encode(self._drawn)
        self._drawn, self._pressed = None, False
        QTimer.singleShot(RESUME_MS, self._go)

    def _look_at_drawn(self) -> None:
        """Encode what the box that is being drawn needs, if it still needs it in a moment."""
        before, self._drawn = self._drawn, self._needed()
        if self._drawn is None:
            return
        if before is not None and before.looks == self._drawn.looks:
            self._drawn = before
        else:
            QTimer.singleShot(SETTLED_MS, partial(self._encode, self._drawn))

    def _encode(self, drawn: DrawnTask) -> None:
        """Begin `drawn` if it is what the box still needs, and was not begun."""
        if drawn is self._drawn and drawn is not self._task:
            self._task = drawn
            self._runner.idle(drawn)

    def _needed(self) -> DrawnTask | None:
        """What encodes for the box that is being drawn; None if nothing is to be encoded."""
        if not isinstance(self._viewer.layers.selection.active, Shapes) or self._runner.busy:
            return None
        index = self._index()
        if self._followed is None or index is None:
            return None
        request, image = self._followed
        shapes, axis = self._layers.boxes(image), request.settings.axis
        drawn = (
            None if shapes is None else drawn_last(shapes, image, axis, request.snapshot.leading)
        )
        if drawn is None or drawn.index != index:
            return None
        try:
            box = in_volume(drawn, image, axis, (index, index))
        except MedSAMLiteError:
            return None  # outside the image, or without an area yet
        return DrawnTask(replace(request, boxes=(box,)), self._engine)

    def _break_off(self) -> None:
        """Rest, and let go of what is being encoded."""
        task = self._task
        self._rest()
        if task is not None and not self._runner.busy:  # else it waits, and a job computes
            task.interrupt()

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
