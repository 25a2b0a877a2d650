"""What reading ahead does on the worker thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from napari_medsam_lite.gui.session.engine import SessionEngine
from napari_medsam_lite.gui.session.request import Request
from napari_medsam_lite.gui.session.run_report import InUse
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.gui.thread.task import Ending, Task
from napari_medsam_lite.gui.thread.worker import post

if TYPE_CHECKING:
    from napari_medsam_lite.engine.look import Look


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


class DrawnTask(Task):
    """Encodes what a box that is being drawn needs on its slice, as it is now.

    Parameters
    ----------
    request : Request
        With the box on its slice.
    engine
        Of the session.
    """

    def __init__(self, request: Request, engine: SessionEngine) -> None:
        self._request, self._engine = request, engine
        self._begun = threading.Event()

    @cached_property
    def looks(self) -> tuple[Look, ...]:
        """What is encoded."""
        from napari_medsam_lite.engine.detail import choose_looks
        from napari_medsam_lite.engine.look import corners_of
        from napari_medsam_lite.engine.prepared import frame_across
        from napari_medsam_lite.engine.propagation.route import Prompt

        settings, snapshot = self._request.settings, self._request.snapshot
        (box,), axis = self._request.boxes, settings.axis
        whole = frame_across(snapshot.shape, snapshot.spacing, axis)
        corners = corners_of(box.plane(axis))
        prompt = Prompt(box.key_slice(axis), corners, corners)
        return choose_looks(settings.detail, prompt, whole, crowd=1)

    def work(self) -> Iterator[None]:
        """Encode, in one step."""
        self._begun.set()
        request = self._request
        segmenter = self._engine.load(request.settings, request.snapshot, lambda _: None)
        prepared = self._engine.prepare(request.snapshot, request.settings)
        segmenter.encode(prepared, self.looks)
        yield

    def interrupt(self) -> None:
        """Cut short what was begun for the box as it was before; what it needs now is kept."""
        if not self._begun.is_set():
            self._engine.interrupt()
