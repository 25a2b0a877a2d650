"""Runs: what is asked of the network, one thing at a time, and what follows from its end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from napari.layers import Image, Layer

from napari_medsam_lite.acceleration.presets import PRESETS
from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.gui.session.desk import Desk
from napari_medsam_lite.gui.session.desks import Desks
from napari_medsam_lite.gui.session.edit import Edit
from napari_medsam_lite.gui.session.engine import SessionEngine
from napari_medsam_lite.gui.session.live import Live
from napari_medsam_lite.gui.session.live_task import LiveTask
from napari_medsam_lite.gui.session.measure_task import MeasureTask
from napari_medsam_lite.gui.session.read_ahead import ReadAhead
from napari_medsam_lite.gui.session.request import Request, chosen_image, request_ahead
from napari_medsam_lite.gui.session.segment_task import SegmentTask, Surroundings
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.gui.thread.runner import JobRunner
from napari_medsam_lite.gui.thread.task import Ending, Task
from napari_medsam_lite.gui.viewer.geometry import (
    Plane,
    Snapshot,
    finest,
    leading_index,
    shown_axis,
    shown_plane,
    snapshot_of,
)


class Runs:
    """Starts the tasks of a session: runs, live answers, reading ahead.

    Parameters
    ----------
    viewer : napari.Viewer or napari.components.ViewerModel
        Shows the slices.
    state, engine, runner, desks
        Of the session.
    warn : callable
        Tells of something that went wrong.
    note : callable
        Is told each run that has ended, and how.
    """

    def __init__(
        self,
        viewer: Any,
        state: SessionState,
        engine: SessionEngine,
        runner: JobRunner,
        desks: Desks,
        warn: Callable[[str], None],
        note: Callable[[SegmentTask, Ending], None],
    ) -> None:
        self._viewer, self._state, self._engine, self._note = viewer, state, engine, note
        self._runner, self._desks, self._warn = runner, desks, warn
        self._ahead = ReadAhead(viewer, state, runner, engine, desks.layers)
        self.live = Live(state, engine, runner, self._live_request, desks.labelled, self._on_live)
        self._task: Task | None = None
        self._stopped: SegmentTask | None = None
        self._snapshot: Snapshot | None = None
        self._open = False

    def open(self) -> None:
        """Begin to read ahead."""
        self._open = True
        self._ahead.open()

    def close(self) -> None:
        """End the task in flight, and let go of the network and the voxels."""
        self._open = False
        self.live.stop()
        self.cancel()
        self._ahead.close()
        self._engine.clear()
        self._snapshot = self._stopped = None

    def snapshot(self) -> Snapshot:
        """The image's snapshot; the same object as long as the image is the same.

        Raises
        ------
        MedSAMLiteError
            If there is no image, or it cannot be segmented.
        """
        image, last = chosen_image(self._state), self._snapshot
        now = snapshot_of(image, leading_index(image, self._viewer.dims))
        if last is None or (last.data is not now.data) or last.place != now.place:
            self._snapshot = last = now
        return last

    def prepare(self, axis: int) -> None:
        """Load the network, for boxes on slices across `axis` will come."""
        image = chosen_image(self._state)
        self._ahead.follow(request_ahead(self._state, axis, self.snapshot()), image)

    def start(self, task: Task, total: int = 0) -> None:
        """Start `task`, and tell at once, for its first words may have to wait for the thread.

        Once `close` was called nothing is started: the end of what was cancelled may lead on.

        Raises
        ------
        MedSAMLiteError
            If a job is in flight.
        """
        if not self._open:
            return
        self.live.stop()
        settling = self._runner.settling
        self._runner.start(task)
        self._task = task
        self._state.done, self._state.total = 0, total
        self._state.busy = True
        waiting = "Waiting for the last step of what was cancelled..."
        self._state.tell(waiting if settling else "Starting...")

    def segment(self, request: Request, desk: Desk, stopped: SegmentTask | None = None) -> None:
        """Start a run, or go on with one that was `stopped`.

        Raises
        ------
        MedSAMLiteError
            If a job is in flight.
        """
        self.live.stop()
        self._runner.check_free()  # before the labels are touched
        self._desks.labelled(desk)
        around = Surroundings(self._state, self._engine, self._shown, self._on_segmented)
        answered = None if stopped is None else stopped.answered
        self.start(SegmentTask(request, desk, around, answered))
        self.forget_stopped()

    def go_on(self) -> None:
        """Go on where the run that was cancelled last was stopped.

        Raises
        ------
        MedSAMLiteError
            If none was.
        """
        stopped = self._stopped
        if stopped is None or stopped.desk is not self._desks.chosen():
            raise MedSAMLiteError("No run was cancelled that could go on.")
        self.segment(stopped.request, stopped.desk, stopped)

    def measure_presets(self) -> None:
        """Time the presets; errors as `segment`."""
        self.start(MeasureTask(self._state, self._engine), total=len(PRESETS))

    def cancel(self) -> None:
        """Stop the task in flight and keep what it has done."""
        if self._task is not None:
            self._runner.cancel(self._task)

    def forget_stopped(self) -> None:
        """What was cancelled does not go on."""
        self._stopped, self._state.resumable = None, False

    def on_drawn(self, desk: Desk, edit: Edit, moving: bool) -> None:
        """A person changed boxes, or is `moving` one."""
        if self._state.is_problem:
            self._state.tell("")
        if self._open and desk.image == self._state.image:
            self.forget_stopped()
            self.live.on_drawn(desk, edit, moving)

    def on_removed(self, layer: Layer) -> None:
        """A layer was removed from the viewer."""
        self._stop_if(layer, f"{layer.name} was removed, so the run was stopped.")
        held = self._snapshot
        if held is not None and isinstance(layer, Image) and finest(layer) is held.data:
            self._drop_voxels()

    def on_replaced(self, image: Image) -> None:
        """The voxels of an image were replaced."""
        self._stop_if(image, f"The voxels of {image.name} were replaced, so the run was stopped.")
        if image == self._state.image:
            self._drop_voxels()
            self._ahead.stop()

    def _on_segmented(self, task: SegmentTask, ending: Ending, last_word: str) -> None:
        self._task = None
        self._note(task, ending)
        if ending.how == "cancelled" and task.request.kind == "volume":
            self._stopped, self._state.resumable = task, True
        if ending.how == "failed":
            self._warn(last_word)
            return
        self._state.tell(last_word)
        if self._open:
            if task.desk.image == self._state.image:
                self._read_ahead(task.request)
            self.live.go()

    def _live_request(self, desk: Desk) -> Request | None:
        with suppress(MedSAMLiteError):  # the viewer may show the volume in 3D
            axis = shown_axis(self._desks.chosen().image, self._viewer.dims)
            return request_ahead(self._state, axis, self.snapshot())
        return None

    def _on_live(self, task: LiveTask) -> None:
        self._desks.tell_undo()
        if self._open and task.desk.image == self._state.image:
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
            axis = shown_axis(image := chosen_image(self._state), self._viewer.dims)
            asked = request_ahead(self._state, axis, self.snapshot())
            same = axis == done.settings.axis
            self._ahead.follow(replace(asked, boxes=done.boxes if same else ()), image)

    def _drop_voxels(self) -> None:
        self._snapshot = None
        self._engine.drop_volume()

    def _stop_if(self, layer: Layer, sentence: str) -> None:
        """Stop what is in flight if it needs `layer`."""
        if self.live.concerns(layer):
            self.live.stop()
        stopped = self._stopped
        if stopped is not None and layer in (stopped.desk.image, stopped.desk.labels):
            self.forget_stopped()
        task = self._task
        if isinstance(task, SegmentTask) and layer in (task.desk.image, task.desk.labels):
            self._runner.cancel(task)
            self.forget_stopped()
            self._ahead.stop()
            self._warn(sentence)

    def _shown(self, image: Image) -> Plane | None:
        try:
            return shown_plane(image, self._viewer.dims)
        except MedSAMLiteError:
            return None
