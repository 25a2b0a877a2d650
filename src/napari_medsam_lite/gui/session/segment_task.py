"""A run: boxes to masks on the worker thread, masks to labels on the main thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari.layers import Image

from napari_medsam_lite.core.asked import Asked
from napari_medsam_lite.core.segmentation import Segmentation, count_slices
from napari_medsam_lite.gui.session.desk import Desk
from napari_medsam_lite.gui.session.engine import SessionEngine
from napari_medsam_lite.gui.session.request import Request
from napari_medsam_lite.gui.session.run_report import Ready, RunReport
from napari_medsam_lite.gui.session.seen import unseen
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.gui.session.writing import MaskWriter, painted_on
from napari_medsam_lite.gui.thread.task import Ending, Task
from napari_medsam_lite.gui.thread.worker import post
from napari_medsam_lite.gui.viewer.geometry import Plane

if TYPE_CHECKING:
    from napari_medsam_lite.engine.answers import Answered
    from napari_medsam_lite.engine.propagation.slice_mask import SliceMask


@dataclass(frozen=True)
class Doing:
    """What is going on, in words; the network may take seconds to load."""

    text: str


@dataclass(frozen=True)
class Unseen:
    """A sentence on boxes that the network cannot see into; empty if there are none."""

    text: str


@dataclass(frozen=True)
class Surroundings:
    """What of the session a run touches on the main thread.

    Attributes
    ----------
    shown : callable
        The slice of an image that the viewer shows, or None.
    ended : callable
        Is told the task, its end and the last word on it.
    """

    state: SessionState
    engine: SessionEngine
    shown: Callable[[Image], Plane | None]
    ended: Callable[[SegmentTask, Ending, str], None]


class SegmentTask(Task):
    """One run of one request, into the Labels layer of its desk.

    Parameters
    ----------
    request : Request
        What decides the answer.
    desk : Desk
        Of the image whose boxes they are, with a Labels layer.
    around : Surroundings
        The session.
    answered : dict, optional
        What a run of the same request, which was cancelled, has been answered.

    Raises
    ------
    MedSAMLiteError
        If a label is too high for a Labels layer of 16 bits.
    """

    def __init__(
        self,
        request: Request,
        desk: Desk,
        around: Surroundings,
        answered: Answered | None = None,
    ) -> None:
        self.request, self.desk = request, desk
        self.report = RunReport(request)
        self.answered: Answered = {} if answered is None else answered
        self._around = around
        self._objects = request.object_labels
        settings = request.settings
        self._writer = MaskWriter(
            desk,
            settings.axis,
            self._objects,
            settings.overlap,
            request.keep_painted,
            request.snapshot.leading,
        )
        self._before = painted_on(desk.segmentation, self._objects, settings.axis)

    def work(self) -> Iterator[Doing | Unseen | Ready | SliceMask]:
        """Segment, yielding masks as they are ready."""
        request, settings = self.request, self.request.settings
        yield Doing("Loading the network...")
        segmenter = self._around.engine.load(
            settings, request.snapshot, lambda text: post(Doing(text)), len(self._objects)
        )
        backend = segmenter.load()
        yield Doing("Reading the image...")
        prepared = self._around.engine.prepare(request.snapshot, settings)
        drawn = ((b.key, b.plane(settings.axis)) for b in request.boxes if b.key is not None)
        yield Unseen(unseen(prepared, drawn))
        yield Ready(
            backend.preset.name,
            backend.device,
            backend.target,
            backend.checkpoint.sha256,
            backend.checkpoint.notice,
            count_slices(request.segments, settings.axis),
            prepared.volume,
            prepared.limits,
        )
        yield from segmenter.segment(prepared, request.segments, settings, answered=self.answered)

    def on_items(self, items: list[Any]) -> None:
        """Show what the worker has told, and paint.

        Raises
        ------
        MedSAMLiteError
            If the labels are not the array any more that the run began with.
        """
        masks = []
        for item in items:
            if isinstance(item, Doing):
                self._around.state.tell(item.text)
            elif isinstance(item, Unseen):
                self.report.unseen = item.text
            elif isinstance(item, Ready):
                self.report.ready = item
                self._around.state.in_use = self.report.in_use()
                self._around.state.total = item.total
                self.desk.under_way = self._so_far
            else:
                self.report.note(self._writer.paint(item), item.area > 0)
                masks.append(item)
        if masks:
            self._show_progress(masks)

    def on_ended(self, ending: Ending) -> None:
        """Clear what the run replaced, keep it for undo, and tell."""
        state = self._around.state
        state.busy = False
        self.desk.under_way = None
        if self._writer.is_current:
            if ending.how == "finished":
                self._erase_what_was_left()
            self._keep(ending)
        if ending.how == "finished":
            state.done = state.total
        self._around.ended(self, ending, self.report.sentence(ending, self._writer.withheld))

    def interrupt(self) -> None:
        """Cut the encoding in flight short."""
        self._around.engine.interrupt()

    def _keep(self, ending: Ending) -> None:
        """What the run did, as one edit."""
        ready = self.report.ready
        if ready is not None and self._writer.has_written:
            asked = self._what_was_asked(ready)
            edit = self.desk.change(self.desk.segmentation, "the run")
            self._writer.keep_with(edit, asked, whole=ending.how == "finished")

    def _so_far(self, segmentation: Segmentation) -> Segmentation:
        assert self.report.ready is not None
        return self._writer.so_far(segmentation, self._what_was_asked(self.report.ready))

    def _what_was_asked(self, ready: Ready) -> Asked:
        request = self.request
        return Asked(
            request.kind,
            self.report.settings,
            request.boxes,
            request.labels,
            checkpoint_sha256=ready.checkpoint_sha256,
        )

    def _show_progress(self, masks: list[SliceMask]) -> None:
        """Progress; and a redraw only if the slice shown has changed, for that costs the most."""
        state = self._around.state
        state.done += len(masks)
        state.tell("Segmenting...")
        if state.done == state.total:
            return  # the end, which comes next, redraws in any case
        shown = self._around.shown(self.desk.image)
        changed = {Plane(self.request.settings.axis, item.index) for item in masks}
        if shown is None or shown in changed:
            self._writer.redraw()

    def _erase_what_was_left(self) -> None:
        """Remove what earlier runs painted and this one, finished, has found nothing for."""
        for label, index in self.report.stale(self._before):
            self._writer.erase(label, index)
