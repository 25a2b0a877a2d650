"""The run in flight as the main thread sees it, and what is told about it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime

from napari.layers import Image, Labels

from napari_medsam_lite.gui.session.state import Run
from napari_medsam_lite.gui.session.work import Drawn, Ready, Request
from napari_medsam_lite.gui.thread.runner import Ending


@dataclass
class Running:
    """One run.

    Attributes
    ----------
    labels : Labels or None
        Where masks go; None before the first one.
    ready : Ready or None
        What is in use; None before the engine is ready.
    visited : dict
        Label -> slices that have an answer, empty masks included.
    before : dict
        Label -> slices that earlier runs painted.
    found : set of int
        Labels with at least one mask that is not empty.
    dropped : bool
        Whether its layer is gone, so that results have nowhere to go.
    """

    request: Request
    image: Image
    labels: Labels | None = None
    ready: Ready | None = None
    started: datetime = field(default_factory=datetime.now)
    clock: float = field(default_factory=time.perf_counter)
    visited: dict[int, set[int]] = field(default_factory=dict)
    before: dict[int, frozenset[int]] = field(default_factory=dict)
    found: set[int] = field(default_factory=set)
    dropped: bool = False

    @property
    def slices(self) -> int:
        """How many slices have an answer."""
        return len(set().union(*self.visited.values()))

    def note(self, drawn: Drawn) -> None:
        """Remember that `drawn` has come."""
        self.visited.setdefault(drawn.label, set()).add(drawn.index)
        if drawn.patch.any():
            self.found.add(drawn.label)

    def stale(self) -> list[tuple[int, int]]:
        """(label, slice) pairs of earlier runs that this run, finished, has left without a mask."""
        axis = self.request.axis
        return [
            (label, index)
            for label, box in zip(self.request.labels, self.request.boxes, strict=True)
            for index in sorted(self.before.get(label, frozenset()) - self.visited[label])
            if box.extent(axis)[0] <= index <= box.extent(axis)[1]
        ]

    def in_use(self) -> str:
        """Preset, device and the notice on the checkpoint, for the status line."""
        if self.ready is None:
            return ""
        used = f"In use: {self.ready.preset} on {self.ready.device}."
        return f"{used} {self.ready.notice}" if self.ready.notice else used

    def ending(self, ending: Ending) -> str:
        """The last word on the run, in a sentence or two."""
        if ending.how == "failed":
            return ending.reason
        if ending.how == "cancelled":
            return f"Cancelled: {_count(self.slices, 'slice')} kept."
        boxes = len(self.request.boxes)
        done = f"Done: {_count(boxes, 'box', 'boxes')} on {_count(self.slices, 'slice')}"
        missed = boxes - len(self.found)
        nothing = f" Nothing was found in {_count(missed, 'box', 'boxes')}." if missed else ""
        return f"{done} in {self.seconds():.1f} s.{nothing}"

    def seconds(self) -> float:
        """Since the press of the button."""
        return time.perf_counter() - self.clock

    def record(self, ending: Ending) -> Run:
        """The run's line in the history."""
        request, ready = self.request, self.ready
        return Run(
            started=self.started,
            image=request.snapshot.name,
            task=request.task,
            preset=ready.preset if ready else request.preset,
            device=ready.device if ready else request.device,
            boxes=len(request.boxes),
            slices=self.slices,
            seconds=self.seconds(),
            ending=ending.how,
        )


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
