"""SessionController: what the buttons do. State <-> layers <-> tasks; no widgets."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any

from napari.layers import Image, Layer
from napari.utils.notifications import show_warning
from qtpy.QtCore import QTimer

from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.core.segmentation import Segmentation
from napari_medsam_lite.core.settings import Settings
from napari_medsam_lite.gui.session.autosave import Autosave
from napari_medsam_lite.gui.session.case_ahead import CaseAhead
from napari_medsam_lite.gui.session.desk import Desk
from napari_medsam_lite.gui.session.desks import Desks
from napari_medsam_lite.gui.session.engine import SessionEngine
from napari_medsam_lite.gui.session.history import SessionHistory
from napari_medsam_lite.gui.session.history_actions import HistoryActions
from napari_medsam_lite.gui.session.pictures import Pictures
from napari_medsam_lite.gui.session.preferences import Preferences
from napari_medsam_lite.gui.session.preload_task import PreloadTask
from napari_medsam_lite.gui.session.request import (
    chosen_image,
    request_slice,
    request_volume,
    settings_now,
)
from napari_medsam_lite.gui.session.runs import Runs
from napari_medsam_lite.gui.session.saving import Saving
from napari_medsam_lite.gui.session.segment_actions import SegmentActions
from napari_medsam_lite.gui.session.series import SeriesChoice
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.gui.session.viewer_watch import ViewerWatch
from napari_medsam_lite.gui.session.window_link import WindowLink
from napari_medsam_lite.gui.session.worklist import Worklist
from napari_medsam_lite.gui.thread.runner import IN_PROGRESS, JobRunner, shared_runner
from napari_medsam_lite.gui.viewer.drawn_boxes import rectangle
from napari_medsam_lite.gui.viewer.geometry import (
    Plane,
    drop_file_geometry,
    leading_index,
    shown_axis,
    shown_plane,
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
    history : SessionHistory
        What was run, in this and earlier sessions.
    runs : Runs
        What is asked of the network.
    window : WindowLink
        What is shown and what the network sees, as one.
    autosave : Autosave
        What is not saved yet, kept beside the session.
    saving : Saving
        Labels into files.
    pictures : Pictures
        Pictures into files.
    past_runs : HistoryActions
        What a person does with runs of the history.
    series : SeriesChoice
        The other series of the image's folder.
    worklist : Worklist
        Cases opened one after the other.
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
        keys = UndoKeys(self.undo_latest, self.redo_latest)
        self.history = SessionHistory(state, self.runner, self.warn)
        self.desks = Desks(
            viewer,
            state,
            ask,
            lambda *drawn: self.runs.on_drawn(*drawn),
            keys,
            lambda case: self.history.bring(case.history),
        )
        self.layers = self.desks.layers
        engine = engine or SessionEngine()
        self.runs = Runs(
            viewer, state, engine, self.runner, self.desks, self.warn, self.history.note
        )
        self.segments = SegmentActions(viewer, state, self.desks.chosen)
        self.window = WindowLink(viewer, state)
        self.autosave = Autosave(state, self.desks, self._settings)
        self.saving = Saving(
            state,
            self.desks,
            self._settings,
            self.runs.start,
            ask,
            self._saving,
            self.history.rows_of,
        )
        self.pictures = Pictures(
            viewer, state, self._to_draw, self.runs.snapshot, self._settings, self.runs.start
        )
        self.past_runs = HistoryActions(
            viewer, state, self.history, self.desks, self.runs, self.pictures, self.told
        )
        self.series = SeriesChoice(viewer, state, self.runs.start)
        ahead = CaseAhead(state, self.runner, engine)
        self.worklist = Worklist(
            viewer, state, self.desks, self.runs, self.saving, ahead, self.told
        )
        self._watch = ViewerWatch(
            viewer,
            state,
            self.desks.look_at,
            self._on_removed,
            self._on_replaced,
            self.desks.show_range,
        )
        self._preferences = Preferences(state)
        self._open = False

    def open(self) -> None:
        """Begin, or begin again after `close`."""
        if self._open:
            return
        self._open = True
        self.runner.join()
        self._preferences.open()
        self._watch.open()
        self.history.open()  # before desks, whose labels may bring lines of it
        self.desks.open()
        self.window.open()
        self.runs.open()
        self.autosave.open()
        self.worklist.resume()
        # Not at once: imports take Python's lock from the dock, which is being built.
        QTimer.singleShot(PRELOAD_AFTER_MS, self._preload)

    def close(self) -> None:
        """End the run in flight and let go of all that is large; the viewer's layers stay."""
        if not self._open:
            return
        self._open = False
        self.saving.close()
        self.runs.close()  # before the worklist: the end of a task may open a case
        self.worklist.close()
        self.history.close()
        self.autosave.close()
        self._watch.close()
        self._preferences.close()
        self.window.close()
        self.desks.close()
        self.runner.leave()

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
        image = self._pressed()
        boxes, _ = self.layers.both_made(image)
        segment = self.desks.chosen().begun()
        self.viewer.layers.selection.active = boxes
        boxes.mode = "add_rectangle"
        self.state.tell(f"Drag a rectangle around {segment.title} on the slice shown.")
        self.runs.prepare(shown_plane(image, self.viewer.dims).axis)

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
        index = box.key_slice(axis)
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
        self._pressed()
        desk, snapshot = self.desks.chosen(), self.runs.snapshot()
        self.runs.segment(request_slice(self.state, self.viewer.dims, desk, snapshot), desk)

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
        self.runs.go_on()

    @_told
    def measure_presets(self) -> None:
        """Time the presets on this computer, so that ``auto`` is the fastest that agrees."""
        self.runs.measure_presets()

    def cancel(self) -> None:
        """Stop the run in flight and keep what it has done."""
        self.runs.cancel()

    @_told
    def restore(self) -> None:
        """Put back what an earlier window left unsaved of this image."""
        if self.state.busy:
            raise MedSAMLiteError(IN_PROGRESS)
        self.runs.live.stop()
        self.autosave.restore()

    @_told
    def discard(self) -> None:
        """Remove what an earlier window left unsaved of this image, for good."""
        self.autosave.discard()

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

    def _pressed(self) -> Image:
        """The chosen image, which can be segmented; its layers are looked for once a press."""
        image = chosen_image(self.state)
        self.runs.snapshot()
        self.desks.adopt(image)
        return image

    def _saving(self, desk: Desk) -> Callable[[], None]:
        self.runs.live.take_rough_back()
        return self.autosave.saving(desk)

    def _to_draw(self) -> Desk:
        self.runs.live.take_rough_back()
        return self.desks.adopted()

    def _settings(self) -> Settings:
        """The choices as they are now; across the first axis where no slices are shown."""
        axis = 0
        with suppress(MedSAMLiteError):  # the viewer may show the volume in 3D
            axis = shown_axis(chosen_image(self.state), self.viewer.dims)
        return settings_now(self.state, axis)

    def _go_through(self, move: Callable[[], str]) -> None:
        if self.state.busy:
            raise MedSAMLiteError(IN_PROGRESS)
        self.runs.live.stop()
        told = move()
        self.runs.forget_stopped()
        if told:
            self.state.tell(told)

    def _segment_through(self, choose: Callable[[Segmentation], frozenset[int]]) -> None:
        self._pressed()
        desk, snapshot = self.desks.chosen(), self.runs.snapshot()
        numbers = choose(desk.segmentation)
        asked = request_volume(self.state, self.viewer.dims, desk, snapshot, numbers)
        self.runs.segment(asked, desk)

    def _on_removed(self, layer: Layer) -> None:
        self.runs.on_removed(layer)
        self.autosave.on_removed(layer)
        self.desks.forget(layer)

    def _on_replaced(self, image: Image) -> None:
        self.runs.on_replaced(image)
        self.desks.part(image)
        drop_file_geometry(image)
