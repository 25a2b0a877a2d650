"""While a case of a worklist is looked at, the next one is prepared, and all are looked through."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer

from napari_medsam_lite.core.settings import Settings
from napari_medsam_lite.gui.session.engine import SessionEngine
from napari_medsam_lite.gui.session.state import AS_SHOWN, SessionState
from napari_medsam_lite.gui.session.worklist_state import WorklistState
from napari_medsam_lite.gui.session.worklist_tasks import AheadTask
from napari_medsam_lite.gui.thread.runner import JobRunner
from napari_medsam_lite.io.work_case import WorkCase

if TYPE_CHECKING:
    from napari_medsam_lite.io.opened import FoundCase

PAUSE_MS = 1000
"""How often it is seen whether there is nothing else to do."""
LOOK_S = 30.0
"""How often it is looked who has what."""


class CaseAhead:
    """Reads at most one case ahead, when the runner has neither a job nor other idle work.

    Parameters
    ----------
    session : SessionState
        The choices that the next case will be answered with.
    runner, engine
        Of the session.
    """

    def __init__(
        self,
        session: SessionState,
        runner: JobRunner,
        engine: SessionEngine,
    ) -> None:
        self._session, self._runner, self._engine = session, runner, engine
        self._worklist = WorklistState()
        self._task: AheadTask | None = None
        self._read: tuple[WorkCase, FoundCase] | None = None
        self._ready: tuple[WorkCase | None, Settings | None] | None = None
        self._looked = 0.0
        self._timer = QTimer()
        self._timer.setInterval(PAUSE_MS)
        self._timer.timeout.connect(self._go)

    def start(self, worklist: WorklistState) -> None:
        """Begin, or begin anew: another case is open in `worklist`, where the rows are shown."""
        self._worklist = worklist
        self._stop_task()
        self._ready = None
        self._timer.start()

    def stop(self) -> None:
        """Let go of everything."""
        with suppress(RuntimeError):  # at the end of the process Qt has deleted it
            self._timer.stop()
        self._stop_task()
        self._read = self._ready = None

    def take(self, case: WorkCase) -> FoundCase | None:
        """What was read of `case`, which is opened now; nothing is kept."""
        self._stop_task()
        read, self._read = self._read, None
        return read[1] if read is not None and read[0] == case else None

    @property
    def upcoming(self) -> WorkCase | None:
        """The next case that is neither done nor a colleague's."""
        state = self._worklist
        rows = state.rows[state.current + 1 :] if state.row is not None else ()
        free = (row.case for row in rows if row.status.standing != "done" and row.holder is None)
        return next(free, None)

    def _go(self) -> None:
        if self._runner.busy or self._runner.idling or not self._worklist.rows:
            return
        wanted = self.upcoming, self._settings()
        if wanted == self._ready and time.monotonic() - self._looked < LOOK_S:
            return
        upcoming, settings = (None, None) if wanted == self._ready else wanted
        read = self._read[1] if self._read is not None and self._read[0] == upcoming else None
        self._looked = time.monotonic()
        self._task = AheadTask(
            [row.case for row in self._worklist.rows],
            upcoming,
            read,
            settings,
            self._engine,
            lambda item: self._on_item(wanted[0], item),
            lambda well: self._on_ended(wanted, well),
        )
        self._runner.idle(self._task)

    def _settings(self) -> Settings | None:
        """None if nothing is to be computed ahead, or the next image's contrast decides."""
        session = self._session
        if not session.read_ahead or session.window == AS_SHOWN:
            return None
        return session.settings(0, "")

    def _on_item(self, upcoming: WorkCase | None, item: Any) -> None:
        if isinstance(item, list):
            if [row.case for row in item] == [row.case for row in self._worklist.rows]:
                self._worklist.rows = tuple(item)
        elif isinstance(item, str):
            self._session.ahead = item
        elif upcoming is not None:
            self._read = upcoming, item

    def _on_ended(self, wanted: tuple[WorkCase | None, Settings | None], well: bool) -> None:
        self._task = None
        if well:
            self._ready = wanted

    def _stop_task(self) -> None:
        if self._task is not None:
            self._runner.stop_idle(self._task)
            self._task.interrupt()
            self._task = None
