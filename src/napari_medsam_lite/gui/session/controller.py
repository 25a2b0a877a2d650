"""SessionController: what the buttons do. State <-> layers <-> tasks; no widgets."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import wraps
from typing import Any

from napari.layers import Image, Layer
from napari.utils.notifications import show_warning
from qtpy.QtCore import QTimer

from napari_medsam_lite.acceleration.presets import PRESETS
from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.core.segmentation import Segmentation
from napari_medsam_lite.gui.session.desk import Desk
from napari_medsam_lite.gui.session.desks import Desks
from napari_medsam_lite.gui.session.engine import SessionEngine
from napari_medsam_lite.gui.session.live import Live, LiveTask
from napari_medsam_lite.gui.session.measure_task import MeasureTask
from napari_medsam_lite.gui.session.preload_task import PreloadTask
from napari_medsam_lite.gui.session.read_ahead import ReadAhead
from napari_medsam_lite.gui.session.request import (
    Request,
    chosen_image,
    request_ahead,
    request_slice,
    request_volume,
)
from napari_medsam_lite.gui.session.segment_actions import SegmentActions
from napari_medsam_lite.gui.session.segment_task import SegmentTask, Surroundings
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.gui.session.viewer_watch import ViewerWatch
from napari_medsam_lite.gui.session.window_link import WindowLink
from napari_medsam_lite.gui.thread.runner import IN_PROGRESS, JobRunner, shared_runner
from napari_medsam_lite.gui.thread.task import Ending, Task
from napari_medsam_lite.gui.viewer.box_layer import rectangle
from napari_medsam_lite.gui.viewer.geometry import (
    Plane,
    Snapshot,
    drop_file_geometry,
    leading_index,
    shown_axis,
    shown_plane,
    snapshot_of,
)
from napari_medsam_lite.gui.viewer.undo_keys import UndoKeys

PRELOAD_AFTER_MS = 300
Method = Callable[["SessionController"], None]


def _told(method: Method) -> Method:
    """Show an expected error as a sentence instead of raising it."""

    @wraps(method)
    def wrapper(self: SessionController) -> None:
        self.told(lambda: method(self))

    return wrapper


class SessionController:
    """Turns presses of buttons into tasks, and keeps what outlives one.

    Parameters
    ----------
    viewer : napari.Viewer or napari.components.ViewerModel
        Where the layers are.
    state : SessionState
        What the user chose, and what is shown.
    engine : SessionEngine, optional
        Who answers the requests.
    runner : JobRunner, optional
        Who runs the tasks; default the one that all docks share.
    ask : callable, optional
        Puts a question to the user that is answered by yes or no; default no.

    Attributes
    ----------
    desks : Desks
        The segments of each image, and what was done to them.
    segments : SegmentActions
        What a person does to the segments of the chosen image.
    window : WindowLink
        What is shown and what the network sees, as one.
    """

    def __init__(
        self,
        viewer: Any,
        state: SessionState,
        engine: SessionEngine | None = None,
        runner: JobRunner | None = None,
        ask: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self.viewer, self.state = viewer, state
        self.runner = runner or shared_runner()
        self._engine = engine or SessionEngine()
        keys = UndoKeys(self.undo_latest, self.redo_latest)
        self.desks = Desks(viewer, state, ask, self._on_drawn, keys)
        self.layers = self.desks.layers
        self.segments = SegmentActions(viewer, state, lambda: self.desks.chosen())
        self.window = WindowLink(viewer, state)
        self._watch = ViewerWatch(
            viewer, state, self._on_removed, self._on_replaced, self.desks.show_range
        )
        self._ahead = ReadAhead(viewer, state, self.runner, self._engine, self.layers)
        self._live = Live(
            state,
            self._engine,
            self.runner,
            self._live_request,
            lambda desk: self.desks.labelled(desk),
            self._on_live,
        )
        self._task: Task | None = None
        self._stopped: SegmentTask | None = None
        self._snapshot: Snapshot | None = None
        self._open = False

    def open(self) -> None:
        """Begin, or begin again after `close`."""
        if self._open:
            return
        self._open = True
        self.runner.join()
        self._watch.open()
        self.desks.open()
        self.window.open()
        self._ahead.open()
        # Not at once: imports take Python's lock from the dock, which is being built.
        QTimer.singleShot(PRELOAD_AFTER_MS, self._preload)

    def close(self) -> None:
        """End the run in flight and let go of all that is large; the viewer's layers stay."""
        if not self._open:
            return
        self._open = False
        self._live.stop()
        if self._task is not None:
            self.runner.cancel(self._task)
        self._ahead.close()
        self._watch.close()
        self.window.close()
        self.desks.close()
        self.runner.leave()
        self._engine.clear()
        self._snapshot = self._stopped = None

    def told(self, act: Callable[[], object]) -> None:
        """Do `act`, and show an expected error as a sentence instead of raising it."""
        try:
            act()
        except MedSAMLiteError as error:
            self.warn(str(error))

    def warn(self, sentence: str) -> None:
        """Tell of something that went wrong, in the status line and as napari does."""
        self.state.tell(sentence, problem=True)
        show_warning(sentence)

    @_told
    def add_boxes(self) -> None:
        """Make the image's layers (once), hand the user the rectangle tool, and read ahead.

        The layer for the labels is made here too: napari needs a quarter of a second to set one up,
        which would be seen as a stop in the middle of a run.
        """
        image, snapshot = self._pressed()
        boxes, _ = self.layers.both_made(image)
        segment = self.desks.chosen().begun()
        self.viewer.layers.selection.active = boxes
        boxes.mode = "add_rectangle"
        self.state.tell(f"Drag a rectangle around {segment.title} on the slice shown.")
        axis = shown_plane(image, self.viewer.dims).axis
        self._ahead.follow(request_ahead(self.state, axis, snapshot), image)

    def add_box(self, box: Box3D) -> None:
        """Draw `box` on its key slice, go there, and make its extent the range of slices.

        For scripts and demonstrations; the user draws with the mouse.

        Raises
        ------
        MedSAMLiteError
            If there is no image, or the viewer shows no slices of it.
        """
        image = chosen_image(self.state)
        axis = shown_axis(image, self.viewer.dims)
        first, last = box.extent(axis)
        index = (first + last) // 2 if box.key is None else box.key
        leading = leading_index(image, self.viewer.dims)
        corners = rectangle(box.plane(axis), Plane(axis, index), image.ndim, leading)
        self.layers.boxes_made(image).add_rectangles(corners)
        if image.ndim > 2:
            place = image.data_to_world(corners[0])[axis - 3]
            self.viewer.dims.set_point(self.viewer.dims.ndim - 3 + axis, place)
            self.segments.limit(self.state.segmentation.current, axis, first, last)

    @_told
    def segment_slice(self) -> None:
        """Segment all boxes on the slice shown."""
        _, snapshot = self._pressed()
        desk = self.desks.chosen()
        self._segment(request_slice(self.state, self.viewer.dims, desk, snapshot), desk)

    @_told
    def segment_volume(self) -> None:
        """Segment the current segment, or the selected boxes, through the volume."""
        self._segment_through(lambda found: frozenset({found.current}))

    @_told
    def segment_all(self) -> None:
        """Segment every segment that has boxes and is not locked through the volume."""
        self._segment_through(
            lambda found: frozenset(s.number for s in found.segments if not s.locked)
        )

    @_told
    def go_on(self) -> None:
        """Go on where the run that was cancelled last was stopped."""
        stopped = self._stopped
        if stopped is None or stopped.desk is not self.desks.chosen():
            raise MedSAMLiteError("No run was cancelled that could go on.")
        self._segment(stopped.request, stopped.desk, stopped)

    @_told
    def measure_presets(self) -> None:
        """Time the presets on this computer, so that ``auto`` is the fastest that agrees."""
        self._start(MeasureTask(self.state, self._engine), total=len(PRESETS))

    def cancel(self) -> None:
        """Stop the run in flight and keep what it has done."""
        if self._task is not None:
            self.runner.cancel(self._task)

    @_told
    def undo(self) -> None:
        """Take the latest change back; what was painted by hand since stays."""
        self._go_through(self.desks.undo)

    @_told
    def redo(self) -> None:
        """Do again what was taken back last, without computing anything."""
        self._go_through(self.desks.redo)

    @_told
    def undo_latest(self) -> None:
        """Take back what was done last, be it with this dock or with napari's brush."""
        self._go_through(self.desks.undo_latest)

    @_told
    def redo_latest(self) -> None:
        """Do again what was taken back last, be it with this dock or with napari's brush."""
        self._go_through(self.desks.redo_latest)

    def _preload(self) -> None:
        if self._open and not self.runner.idling:
            self.runner.idle(PreloadTask())

    def _pressed(self) -> tuple[Image, Snapshot]:
        """The chosen image, checked; its layers are looked for once a press."""
        image, snapshot = chosen_image(self.state), self._latest_snapshot()
        self.desks.adopt(image)
        return image, snapshot

    def _go_through(self, move: Callable[[], str]) -> None:
        if self.state.busy:
            raise MedSAMLiteError(IN_PROGRESS)
        self._live.stop()
        told = move()
        self._forget_stopped()
        if told:
            self.state.tell(told)

    def _segment_through(self, choose: Callable[[Segmentation], frozenset[int]]) -> None:
        _, snapshot = self._pressed()
        desk = self.desks.chosen()
        numbers = choose(desk.segmentation)
        asked = request_volume(self.state, self.viewer.dims, desk, snapshot, numbers)
        self._segment(asked, desk)

    def _segment(self, request: Request, desk: Desk, stopped: SegmentTask | None = None) -> None:
        self._live.stop()
        self.runner.check_free()  # before the labels are touched
        self.desks.labelled(desk)
        around = Surroundings(self.state, self._engine, self._shown, self._on_segmented)
        answered = None if stopped is None else stopped.answered
        self._start(SegmentTask(request, desk, around, answered), total=0)
        self._forget_stopped()

    def _forget_stopped(self) -> None:
        self._stopped, self.state.resumable = None, False

    def _start(self, task: Task, total: int) -> None:
        """Start `task`, and tell at once, for its first words may have to wait for the thread."""
        self._live.stop()
        settling = self.runner.settling
        self.runner.start(task)
        self._task = task
        self.state.done, self.state.total = 0, total
        self.state.busy = True
        waiting = "Waiting for the last step of what was cancelled..."
        self.state.tell(waiting if settling else "Starting...")

    def _on_segmented(self, task: SegmentTask, ending: Ending, last_word: str) -> None:
        self._task = None
        self.state.history = (task.report.row(ending), *self.state.history)
        if ending.how == "cancelled" and task.request.kind == "volume":
            self._stopped, self.state.resumable = task, True
        if ending.how == "failed":
            self.warn(last_word)
            return
        self.state.tell(last_word)
        if self._open:
            if task.desk.image == self.state.image:
                self._read_ahead(task.request)
            self._live.go()

    def _on_drawn(self, desk: Desk, edit: Any) -> None:
        """A person changed boxes."""
        if self.state.is_problem:
            self.state.tell("")
        if self._open and desk.image == self.state.image:
            self._forget_stopped()
            self._live.on_drawn(desk, edit)

    def _live_request(self, desk: Desk) -> Request | None:
        with suppress(MedSAMLiteError):  # the viewer may show the volume in 3D
            axis = shown_axis(self.desks.chosen().image, self.viewer.dims)
            return request_ahead(self.state, axis, self._latest_snapshot())
        return None

    def _on_live(self, task: LiveTask) -> None:
        self.desks.tell_undo()
        if self._open and task.desk.image == self.state.image:
            axis = task.request.settings.axis
            boxes = tuple(
                Box3D.from_plane(box, axis, index, index, key=index)
                for (_, index), found in task.wanted.items()
                for box in found
            )
            self._read_ahead(replace(task.request, boxes=boxes))

    def _read_ahead(self, done: Request) -> None:
        """Encode what the boxes that were `done` would need elsewhere, as things are chosen now."""
        with suppress(MedSAMLiteError):  # the viewer may show the volume in 3D
            axis = shown_axis(image := chosen_image(self.state), self.viewer.dims)
            asked = request_ahead(self.state, axis, self._latest_snapshot())
            same = axis == done.settings.axis
            self._ahead.follow(replace(asked, boxes=done.boxes if same else ()), image)

    def _on_removed(self, layer: Layer) -> None:
        self._stop_if(layer, f"{layer.name} was removed, so the run was stopped.")
        self.desks.forget(layer)
        held = self._snapshot
        if held is not None and isinstance(layer, Image) and layer.data is held.data:
            self._drop_voxels()

    def _drop_voxels(self) -> None:
        self._snapshot = None
        self._engine.drop_volume()

    def _on_replaced(self, image: Image) -> None:
        """The image's voxels are others now: what was made of the old ones is not theirs."""
        self._stop_if(image, f"The voxels of {image.name} were replaced, so the run was stopped.")
        self.desks.part(image)
        drop_file_geometry(image)
        if image == self.state.image:
            self._drop_voxels()
            self._ahead.stop()

    def _stop_if(self, layer: Layer, sentence: str) -> None:
        """Stop what is in flight if it needs `layer`."""
        if self._live.concerns(layer):
            self._live.stop()
        stopped = self._stopped
        if stopped is not None and layer in (stopped.desk.image, stopped.desk.labels):
            self._forget_stopped()
        task = self._task
        if isinstance(task, SegmentTask) and layer in (task.desk.image, task.desk.labels):
            self.runner.cancel(task)
            self._forget_stopped()
            self._ahead.stop()
            self.warn(sentence)

    def _latest_snapshot(self) -> Snapshot:
        """The image's snapshot; the same object as long as the image is the same."""
        image, last = chosen_image(self.state), self._snapshot
        now = snapshot_of(image, leading_index(image, self.viewer.dims))
        if last is None or (last.data is not now.data) or last.place != now.place:
            self._snapshot = last = now
        return last

    def _shown(self, image: Image) -> Plane | None:
        try:
            return shown_plane(image, self.viewer.dims)
        except MedSAMLiteError:
            return None
