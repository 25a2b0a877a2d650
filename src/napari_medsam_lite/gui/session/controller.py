"""SessionController: what the buttons do. State <-> layers <-> tasks; no widgets."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import wraps
from typing import Any

from napari.layers import Image, Labels, Layer
from napari.utils.notifications import show_warning
from qtpy.QtCore import QTimer

from napari_medsam_lite.acceleration.presets import PRESETS
from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.engine.undo import UndoStack
from napari_medsam_lite.gui.session.engine import SessionEngine
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
from napari_medsam_lite.gui.session.segment_task import SegmentTask, Surroundings
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.gui.session.viewer_watch import ViewerWatch
from napari_medsam_lite.gui.thread.runner import IN_PROGRESS, JobRunner, shared_runner
from napari_medsam_lite.gui.thread.task import Ending, Task
from napari_medsam_lite.gui.viewer.box_layer import drop_clicks, rectangle
from napari_medsam_lite.gui.viewer.geometry import (
    Plane,
    Snapshot,
    drop_file_geometry,
    shown_axis,
    shown_plane,
    snapshot_of,
)
from napari_medsam_lite.gui.viewer.image_layers import ImageLayers, OwnLayers

PRELOAD_AFTER_MS = 300
Method = Callable[["SessionController"], None]


def _told(method: Method) -> Method:
    """Show an expected error as a sentence instead of raising it."""

    @wraps(method)
    def wrapper(self: SessionController) -> None:
        try:
            method(self)
        except MedSAMLiteError as error:
            self.warn(str(error))

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
        self.layers = ImageLayers(viewer, ask)
        self.runner = runner or shared_runner()
        self._engine = engine or SessionEngine()
        self._watch = ViewerWatch(viewer, state, self._on_removed, self._on_replaced)
        self._ahead = ReadAhead(viewer, state, self.runner, self._engine, self.layers)
        self._undo = UndoStack()
        self._task: Task | None = None
        self._snapshot: Snapshot | None = None
        self._open = False

    def open(self) -> None:
        """Begin, or begin again after `close`."""
        if self._open:
            return
        self._open = True
        self.runner.join()
        self._watch.open()
        self._ahead.open()
        # Not at once: imports take Python's lock from the dock, which is being built.
        QTimer.singleShot(PRELOAD_AFTER_MS, self._preload)

    def close(self) -> None:
        """End the run in flight and let go of all that is large; the viewer's layers stay."""
        if not self._open:
            return
        self._open = False
        if self._task is not None:
            self.runner.cancel(self._task)
        self._ahead.close()
        self._watch.close()
        self.runner.leave()
        self._engine.clear()
        self._snapshot = None

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
        image, snapshot, _ = self._pressed()
        boxes, _ = self.layers.both_made(image)
        self.viewer.layers.selection.active = boxes
        boxes.mode = "add_rectangle"
        self.state.tell("Drag a rectangle around the organ on the slice shown.")
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
        corners = rectangle(box.plane(axis), Plane(axis, index), image.ndim)
        self.layers.boxes_made(image).add_rectangles(corners)
        if image.ndim == 3:
            world = axis + self.viewer.dims.ndim - image.ndim
            self.viewer.dims.set_point(world, image.data_to_world(corners[0])[axis])
            self.state.z_from, self.state.z_to = first, last

    @_told
    def segment_slice(self) -> None:
        """Segment all boxes on the slice shown."""
        image, snapshot, own = self._pressed()
        request = request_slice(self.state, self.viewer.dims, own, snapshot)
        self._segment(request, image, own.labels)

    @_told
    def segment_volume(self) -> None:
        """Segment every box, or the selected ones, from its slice over the chosen range."""
        image, snapshot, own = self._pressed()
        request = request_volume(self.state, self.viewer.dims, own, snapshot)
        self._segment(request, image, own.labels)

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
        """Take the latest run's masks back; what was changed by hand since stays."""
        self._go_through(self._undo.undo, "taken back from")

    @_told
    def redo(self) -> None:
        """Do the run again that was taken back last, without computing anything."""
        self._go_through(self._undo.redo, "done again in")

    def _preload(self) -> None:
        if self._open and not self.runner.idling:
            self.runner.idle(PreloadTask())

    def _pressed(self) -> tuple[Image, Snapshot, OwnLayers]:
        """The chosen image, checked, and its layers, looked for once a press."""
        image, snapshot = chosen_image(self.state), self._latest_snapshot()
        own = self.layers.adopt(image)
        if own.boxes is not None:
            drop_clicks(own.boxes)
        return image, snapshot, own

    def _go_through(self, move: Callable[..., Any], what: str) -> None:
        if self.state.busy:
            raise MedSAMLiteError(IN_PROGRESS)
        try:
            layer = move(lambda target: target.data)
        finally:
            self._tell_undo()
        if layer is not None:
            layer.refresh(extent=False)
            self.state.tell(f"The last run was {what} {layer.name}.")

    def _segment(self, request: Request, image: Image, labels: Labels | None) -> None:
        self.runner.check_free()  # before the labels are touched
        if labels is None:
            labels = self.layers.labels_made(image)
        around = Surroundings(self.state, self._engine, self._undo, self._shown, self._on_segmented)
        self._start(SegmentTask(request, image, labels, around), total=0)

    def _start(self, task: Task, total: int) -> None:
        """Start `task`, and tell at once, for its first words may have to wait for the thread."""
        settling = self.runner.settling
        self.runner.start(task)
        self._task = task
        self.state.done, self.state.total = 0, total
        self.state.busy = True
        waiting = "Waiting for the last step of what was cancelled..."
        self.state.tell(waiting if settling else "Starting...")

    def _on_segmented(self, task: SegmentTask, ending: Ending, last_word: str) -> None:
        self._task = None
        self._tell_undo()
        self.state.history = (task.report.row(ending), *self.state.history)
        if ending.how == "failed":
            self.warn(last_word)
            return
        self.state.tell(last_word)
        if self._open and task.image == self.state.image:
            self._read_ahead(task.request)

    def _read_ahead(self, done: Request) -> None:
        """Encode what the boxes that were `done` would need elsewhere, as things are chosen now."""
        with suppress(MedSAMLiteError):  # the viewer may show the volume in 3D
            axis = shown_axis(image := chosen_image(self.state), self.viewer.dims)
            asked = request_ahead(self.state, axis, self._latest_snapshot())
            same = axis == done.settings.axis
            self._ahead.follow(replace(asked, boxes=done.boxes if same else ()), image)

    def _on_removed(self, layer: Layer) -> None:
        self._stop_if(layer, f"{layer.name} was removed, so the run was stopped.")
        self.layers.forget(layer)
        self._undo.forget(layer)
        self._tell_undo()
        held = self._snapshot
        if held is not None and isinstance(layer, Image) and layer.data is held.data:
            self._drop_voxels()

    def _drop_voxels(self) -> None:
        self._snapshot = None
        self._engine.drop_volume()

    def _on_replaced(self, image: Image) -> None:
        """The image's voxels are others now: what was made of the old ones is not theirs."""
        self._stop_if(image, f"The voxels of {image.name} were replaced, so the run was stopped.")
        self.layers.part(image)
        drop_file_geometry(image)
        if image == self.state.image:
            self._drop_voxels()
            self._ahead.stop()

    def _stop_if(self, layer: Layer, sentence: str) -> None:
        """Stop the run in flight if it needs `layer`."""
        task = self._task
        if isinstance(task, SegmentTask) and layer in (task.image, task.labels):
            self.runner.cancel(task)
            self._ahead.stop()
            self.warn(sentence)

    def _tell_undo(self) -> None:
        self.state.undoable, self.state.redoable = self._undo.undoable, self._undo.redoable

    def _latest_snapshot(self) -> Snapshot:
        """The image's snapshot; the same object as long as the image is the same."""
        now, last = snapshot_of(chosen_image(self.state)), self._snapshot
        if last is None or (last.data is not now.data) or last.place != now.place:
            self._snapshot = last = now
        return last

    def _shown(self, image: Image) -> Plane | None:
        try:
            return shown_plane(image, self.viewer.dims)
        except MedSAMLiteError:
            return None
