"""A run: boxes to masks on the worker thread, masks to labels on the main thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels

from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.core.segmentation import count_slices
from napari_medsam_lite.engine.painting import LabelPainter, Step, room_for
from napari_medsam_lite.engine.undo import UndoStack
from napari_medsam_lite.gui.session.engine import SessionEngine
from napari_medsam_lite.gui.session.request import Request
from napari_medsam_lite.gui.session.run_report import Ready, RunReport
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.gui.thread.task import Ending, Task
from napari_medsam_lite.gui.thread.worker import post
from napari_medsam_lite.gui.viewer.geometry import Plane

if TYPE_CHECKING:
    from napari_medsam_lite.engine.propagation.slice_mask import SliceMask


@dataclass(frozen=True)
class Doing:
    """What is going on, in words; the network may take seconds to load."""

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
    undo: UndoStack
    shown: Callable[[Image], Plane | None]
    ended: Callable[[SegmentTask, Ending, str], None]


class SegmentTask(Task):
    """One run of one request, into one Labels layer.

    Parameters
    ----------
    request : Request
        What decides the answer.
    image : Image
        Whose boxes they are.
    labels : Labels
        Where the masks go; its type is widened now if the request's labels need that.
    around : Surroundings
        The session.

    Raises
    ------
    MedSAMLiteError
        If a label is too high for a Labels layer of 16 bits.
    """

    def __init__(
        self, request: Request, image: Image, labels: Labels, around: Surroundings
    ) -> None:
        self.request, self.image, self.labels = request, image, labels
        self.report = RunReport(request)
        self._around = around
        if not around.undo.is_of(labels, labels.data):
            around.undo.forget(labels)  # the user has put another array there
        roomy = room_for(labels.data, request.labels)
        if roomy is not labels.data:
            labels.data = roomy
        around.undo.know(labels, labels.data)
        self._array, axis = labels.data, request.settings.axis
        self._step = Step(axis, self._array.shape)
        self._objects = request.object_labels
        self._painter = LabelPainter(
            self._array, axis, self._objects, request.settings.overlap, self._step
        )
        self._before = {label: around.undo.painted(labels, label, axis) for label in request.labels}

    def work(self) -> Iterator[Doing | Ready | SliceMask]:
        """Segment, yielding masks as they are ready."""
        request, settings = self.request, self.request.settings
        yield Doing("Loading the network...")
        segmenter = self._around.engine.load(
            settings, lambda text: post(Doing(text)), len(self._objects)
        )
        backend = segmenter.load()
        yield Doing("Reading the image...")
        prepared = self._around.engine.prepare(request.snapshot, settings)
        yield Ready(
            backend.preset.name,
            backend.device,
            backend.target,
            backend.checkpoint.sha256,
            backend.checkpoint.notice,
            count_slices(request.segments, settings.axis),
            prepared.volume,
        )
        yield from segmenter.segment(prepared, request.segments, settings)

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
            elif isinstance(item, Ready):
                self.report.ready = item
                self._around.state.in_use = self.report.in_use()
                self._around.state.total = item.total
            else:
                self._paint(item)
                masks.append(item)
        if masks:
            self._show_progress(masks)

    def on_ended(self, ending: Ending) -> None:
        """Clear what the run replaced, keep its step for undo, and tell."""
        state = self._around.state
        state.busy = False
        if self._array is self.labels.data:
            if ending.how == "finished":
                self._erase_what_was_left()
            self._around.undo.push(self.labels, self._step)
            self.labels.refresh(extent=False)
        if ending.how == "finished":
            state.done = state.total
        self._around.ended(self, ending, self.report.sentence(ending))

    def interrupt(self) -> None:
        """Cut the encoding in flight short."""
        self._around.engine.interrupt()

    def _paint(self, item: SliceMask) -> None:
        if self._array is not self.labels.data:
            raise MedSAMLiteError(
                f"The labels of {self.labels.name} were replaced, so the run was stopped."
            )
        self._painter.paint(item)
        self.report.note(item.record(self._objects[item.object]), item.area > 0)

    def _show_progress(self, masks: list[SliceMask]) -> None:
        """Progress; and a redraw only if the slice shown has changed, for that costs the most."""
        state = self._around.state
        state.done += len(masks)
        state.tell("Segmenting...")
        if state.done == state.total:
            return  # the end, which comes next, redraws in any case
        shown = self._around.shown(self.image)
        changed = {Plane(self.request.settings.axis, item.index) for item in masks}
        if shown is None or shown in changed:
            self.labels.refresh(extent=False, thumbnail=False)

    def _erase_what_was_left(self) -> None:
        """Remove what earlier runs painted and this one, finished, has found nothing for."""
        for label, index in self.report.stale(self._before):
            self._painter.erase(label, index)
