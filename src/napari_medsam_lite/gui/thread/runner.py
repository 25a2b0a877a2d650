"""One job in flight in the whole process: every dock starts its tasks here.

What a task yields is handed to its handlers on the main thread in batches, after its first second
at most ten times a second, so that a long job cannot flood the GUI. Nothing in here waits on the
main thread.
"""

from __future__ import annotations

import itertools
import logging
import time
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from qtpy.QtCore import QTimer

from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.gui.thread.task import Ending, Task
from napari_medsam_lite.gui.thread.worker import Answers, Ticket, Worker, failure

POLL_MS = 100
FAST_POLL_MS = 5
FAST_S = 1.0
"""A short job, such as a click on a slice that is encoded, is looked after closely."""
IN_PROGRESS = "A run is in progress; cancel it or wait for its end."

_log = logging.getLogger(__name__)


@dataclass
class _Flight:
    """A task and its ticket."""

    task: Task
    ticket: Ticket
    started: float = field(default_factory=time.monotonic)


class JobRunner:
    """Runs one task at a time off the main thread, and idle work while there is none.

    Docks `join` while they are open; when the last one leaves, the thread ends.
    """

    def __init__(self) -> None:
        self._answers = Answers()
        # One count for jobs and idle work: no number comes twice, so that an answer which is late
        # cannot be taken for another's.
        self._numbers = itertools.count(1)
        self._job: _Flight | None = None
        self._idle: _Flight | None = None
        self._errands: dict[int, _Flight] = {}
        self._leaving: set[int] = set()
        self._worker: Worker | None = None
        self._users = 0
        self._tick_number = 0

    @property
    def busy(self) -> bool:
        """Whether a job is in flight."""
        return self._job is not None

    @property
    def idling(self) -> bool:
        """Whether there is idle work."""
        return self._idle is not None

    @property
    def settling(self) -> bool:
        """Whether the thread is still in the last step of a job that was cancelled."""
        return bool(self._leaving)

    def join(self) -> None:
        """A dock opens."""
        self._users += 1

    def leave(self) -> None:
        """A dock closes, having stopped its tasks; the last one lets the thread end."""
        self._users -= 1
        if self._users <= 0 and self._worker is not None:
            self._users = 0
            self.stop_idle()
            self._worker.stop()
            self._worker, self._leaving, self._errands = None, set(), {}
            self._answers = Answers()

    def check_free(self) -> None:
        """Raise MedSAMLiteError if a job is in flight, of this dock or of another."""
        if self.busy:
            raise MedSAMLiteError(IN_PROGRESS)

    def start(self, task: Task) -> None:
        """Run `task` next; errors as `check_free`."""
        self.check_free()
        if self._idle is not None:
            self._idle.task.interrupt()
        self._job = self._put(task, is_idle=False)

    def cancel(self, task: Task | None = None) -> None:
        """End the job in flight now (if it is `task`), and keep what it has yielded.

        The thread itself stops at the job's next yield; what comes later is dropped by its number.
        """
        job = self._job
        if job is None or (task is not None and job.task is not task):
            return
        job.ticket.cancelled.set()
        self._poll()
        if self._job is job:
            self._leaving.add(job.ticket.number)
            self._end(Ending("cancelled"))
            job.task.interrupt()

    def idle(self, task: Task) -> None:
        """Do `task` a step at a time while no job is in flight, in place of earlier idle work.

        A job waits for one step at most, and less if `Task.interrupt` makes the step raise
        `Interrupted`: then the work begins anew after the job. An error ends the work silently,
        because a job that meets it will tell.
        """
        displaced = self._idle
        self.stop_idle()
        if displaced is not None:
            displaced.task.on_ended(Ending("cancelled"))
        self._idle = self._put(task, is_idle=True)

    def errand(self, task: Task) -> None:
        """Do something small, such as to read a file, before the next job or step of idle work.

        Any number may wait; each is done, also when the last dock leaves, but then none is told.
        """
        flight = self._put(task, is_idle=False)
        self._errands[flight.ticket.number] = flight

    def stop_idle(self, task: Task | None = None) -> None:
        """End the idle work at its next step (if it is `task`)."""
        idle = self._idle
        if idle is not None and (task is None or idle.task is task):
            idle.ticket.cancelled.set()
            self._idle = None

    def _put(self, task: Task, is_idle: bool) -> _Flight:
        if self._worker is None:
            self._worker = Worker(self._answers)
        flight = _Flight(task, Ticket(next(self._numbers), task.work, is_idle))
        self._worker.put(flight.ticket)
        if not is_idle or not self.busy:
            self._wait(FAST_POLL_MS if not is_idle else POLL_MS)
        return flight

    def _wait(self, milliseconds: int) -> None:
        """Poll after a while, in place of any poll that was waited for before."""
        self._tick_number += 1
        number = self._tick_number
        # Single shots, so that no timer outlives Qt.
        QTimer.singleShot(milliseconds, lambda: self._tick(number))

    def _tick(self, number: int) -> None:
        if number != self._tick_number:
            return
        self._poll()
        waiting = self._job or self._idle or self._leaving or self._errands
        if number == self._tick_number and waiting:
            young = self._job is not None and time.monotonic() - self._job.started < FAST_S
            self._wait(FAST_POLL_MS if young else POLL_MS)

    def _poll(self) -> None:
        """Hand over what has come, to the task it came from."""
        items: dict[int, list[Any]] = {}
        endings: dict[int, Ending] = {}
        # What is there now, no more: a job that yields without end must not keep the main thread.
        for _ in range(self._answers.qsize()):
            number, item = self._answers.get_nowait()
            if isinstance(item, Ending):
                endings[number] = item
                self._leaving.discard(number)
            else:
                items.setdefault(number, []).append(item)
        self._hand_over_idle(items, endings)
        self._hand_over_errands(items, endings)
        job = self._job
        if job is None:
            return
        number = job.ticket.number
        self._hand_over(job, items.get(number, []))
        # A handler may have cancelled: then the end has been told already.
        if number in endings and self._job is job:
            self._end(endings[number])

    def _hand_over(self, job: _Flight, items: list[Any]) -> None:
        try:
            if items:
                job.task.on_items(items)
        except Exception as error:
            job.ticket.cancelled.set()
            if self._job is job:
                self._leaving.add(job.ticket.number)
                self._end(failure(error))

    def _hand_over_idle(self, items: dict[int, list[Any]], endings: dict[int, Ending]) -> None:
        idle = self._idle
        if idle is None:
            return
        number = idle.ticket.number
        try:
            if number in items:
                idle.task.on_items(items[number])
            if number in endings:
                self._idle = None
                idle.task.on_ended(endings[number])
        except Exception:
            _log.exception("Idle work could not be shown")
            self.stop_idle(idle.task)

    def _hand_over_errands(self, items: dict[int, list[Any]], endings: dict[int, Ending]) -> None:
        for number in sorted(self._errands.keys() & endings.keys()):
            task = self._errands.pop(number).task
            try:
                task.on_items(items.get(number, []))
                task.on_ended(endings[number])
            except Exception:
                _log.exception("The end of an errand could not be shown")

    def _end(self, ending: Ending) -> None:
        job, self._job = self._job, None
        assert job is not None
        try:
            job.task.on_ended(ending)
        except Exception:  # polling goes on, and the next job can start
            _log.exception("The end of a task could not be shown")


@cache
def shared_runner() -> JobRunner:
    """The one of this process."""
    return JobRunner()
