"""SessionController: all that a dock has while it is open, joined together; no widgets."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from napari.layers import Image, Layer
from qtpy.QtCore import QTimer

from napari_medsam_lite.core.errors import MedSAMLiteError
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
from napari_medsam_lite.gui.session.request import chosen_image, settings_now
from napari_medsam_lite.gui.session.run_actions import RunActions
from napari_medsam_lite.gui.session.runs import Runs
from napari_medsam_lite.gui.session.saving import Saving
from napari_medsam_lite.gui.session.segment_actions import SegmentActions
from napari_medsam_lite.gui.session.series import SeriesChoice
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.gui.session.telling import Telling
from napari_medsam_lite.gui.session.undo_actions import UndoActions
from napari_medsam_lite.gui.session.viewer_watch import ViewerWatch
from napari_medsam_lite.gui.session.window_link import WindowLink
from napari_medsam_lite.gui.session.worklist import Worklist
from napari_medsam_lite.gui.thread.runner import JobRunner, shared_runner
from napari_medsam_lite.gui.viewer.geometry import drop_file_geometry, shown_axis
from napari_medsam_lite.gui.viewer.undo_keys import UndoKeys

PRELOAD_AFTER_MS = 300


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
    run_actions : RunActions
        What a person asks of the network.
    segments : SegmentActions
        What a person does to the segments of the chosen image.
    undo_actions : UndoActions
        What a person takes back and does again.
    history : SessionHistory
        What was run, in this and earlier sessions.
    runs : Runs
        The tasks that answer, one at a time.
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
    told : callable
        Does something, and shows an expected error as a sentence instead of raising it.
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
        telling = Telling(state)
        self.told = telling.told
        keys = UndoKeys(
            lambda: self.undo_actions.undo_latest(), lambda: self.undo_actions.redo_latest()
        )
        self.history = SessionHistory(state, self.runner, telling.warn)
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
            viewer, state, engine, self.runner, self.desks, telling.warn, self.history.note
        )
        self.run_actions = RunActions(viewer, state, self.desks, self.runs, telling)
        self.segments = SegmentActions(viewer, state, self.desks.chosen)
        self.window = WindowLink(viewer, state)
        self.autosave = Autosave(state, self.desks, self._settings)
        self.undo_actions = UndoActions(state, self.desks, self.runs, self.autosave, telling)
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

    def _preload(self) -> None:
        if self._open and not self.runner.idling:
            self.runner.idle(PreloadTask())

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

    def _on_removed(self, layer: Layer) -> None:
        self.runs.on_removed(layer)
        self.autosave.on_removed(layer)
        self.desks.forget(layer)

    def _on_replaced(self, image: Image) -> None:
        self.runs.on_replaced(image)
        self.desks.part(image)
        drop_file_geometry(image)
