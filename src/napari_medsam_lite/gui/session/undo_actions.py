"""What a person takes back, does again, or gets back from a window that was not closed."""

from __future__ import annotations

from collections.abc import Callable

from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.gui.session.autosave import Autosave
from napari_medsam_lite.gui.session.desks import Desks
from napari_medsam_lite.gui.session.runs import Runs
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.gui.session.telling import Telling, shown
from napari_medsam_lite.gui.thread.runner import IN_PROGRESS


class UndoActions:
    """Acts on the chosen image, while no run is in progress.

    Parameters
    ----------
    state, desks, runs, autosave, telling
        Of the session.
    """

    def __init__(
        self, state: SessionState, desks: Desks, runs: Runs, autosave: Autosave, telling: Telling
    ) -> None:
        self._state, self._desks, self._runs, self._autosave = state, desks, runs, autosave
        self.telling = telling

    @shown
    def undo(self) -> None:
        """Take the latest change back; what was painted by hand since stays."""
        self._go_through(self._desks.undo)

    @shown
    def redo(self) -> None:
        """Do again what was taken back last, without computing anything."""
        self._go_through(self._desks.redo)

    @shown
    def undo_latest(self) -> None:
        """Take back what was done last, be it with this dock or with napari's brush."""
        self._go_through(self._desks.undo_latest)

    @shown
    def redo_latest(self) -> None:
        """Do again what was taken back last, be it with this dock or with napari's brush."""
        self._go_through(self._desks.redo_latest)

    @shown
    def restore(self) -> None:
        """Put back what an earlier window left unsaved of this image."""
        if self._state.busy:
            raise MedSAMLiteError(IN_PROGRESS)
        self._runs.live.stop()
        self._autosave.restore()

    @shown
    def discard(self) -> None:
        """Remove what an earlier window left unsaved of this image, for good."""
        self._autosave.discard()

    def _go_through(self, move: Callable[[], str]) -> None:
        if self._state.busy:
            raise MedSAMLiteError(IN_PROGRESS)
        self._runs.live.stop()
        told = move()
        self._runs.forget_stopped()
        if told:
            self._state.tell(told)
