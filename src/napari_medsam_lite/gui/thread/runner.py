"""One job in flight on one long-lived thread. The only file that knows threads.

A job is a function that returns an iterator; it runs on the worker thread, and what it yields is
handed to the main thread in batches, after its first second at most ten times a second, so that a
long job cannot flood the GUI. Nothing in here waits on the main thread.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, Literal

from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_medsam_lite.acceleration.torch.allocator import in_main_arena
from napari_medsam_lite.core.errors import Interrupted, MedSAMLiteError

POLL_MS = 100
FAST_POLL_MS = 5
FAST_S = 1.0
"""A short job, such as a click on a slice that is encoded, is looked after closely."""
NICENESS = 10
EXIT_WAIT_S = 10.0
MOST_CANDIDATES = 64
THREAD_NAME = "medsam-lite"

Job = Callable[[], Iterator[Any]]
_current = threading.local()
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ending:
    """How a job ended, and for a failure why, in one sentence."""

    how: Literal["finished", "cancelled", "failed"]
    reason: str = ""


@dataclass(frozen=True)
class _Ticket:
    """A job with its number and its stop sign."""

    generation: int
    job: Job
    cancelled: threading.Event = field(default_factory=threading.Event)


def _no_interrupt() -> None:
    """For idle work whose steps cannot be cut short."""


class JobRunner:
    """Runs one job at a time off the main thread.

    Signals, all emitted on the main thread:

    - `yielded(list)`: what the job yielded since the last time, in order;
    - `ended(Ending)`: once for each job, after its last `yielded`;
    - `idled(str)`: the latest sentence of the idle work, empty if it failed.
    """

    yielded = Signal(list)
    ended = Signal(Ending)
    idled = Signal(str)

    def __init__(self) -> None:
        self._answers: SimpleQueue[tuple[int, Any]] = SimpleQueue()
        self._ticket: _Ticket | None = None
        self._generation = 0
        self._worker: _Worker | None = None
        self._started = 0.0
        self._idling = 0
        self._interrupt: Callable[[], None] = _no_interrupt

    @property
    def busy(self) -> bool:
        """Whether a job is in flight."""
        return self._ticket is not None

    def start(self, job: Job) -> None:
        """Run `job` next.

        Raises
        ------
        MedSAMLiteError
            If one is in flight.
        """
        if self.busy:
            raise MedSAMLiteError("A run is in progress; cancel it or wait for its end.")
        if self._idling:
            self._interrupt()
        if self._worker is None:
            self._worker = _Worker(self._answers)
        self._generation += 1
        self._ticket = _Ticket(self._generation, job)
        self._worker.tickets.put(self._ticket)
        self._started = time.monotonic()
        self._wait()

    def cancel(self) -> None:
        """End the job in flight now, and keep what it has yielded.

        The thread itself stops at the job's next yield; what comes later is dropped by its number.
        """
        if self._ticket is None:
            return
        ticket = self._ticket
        ticket.cancelled.set()
        self._poll()
        if self._ticket is ticket:
            self._end(Ending("cancelled"))

    def idle(self, work: Job | None, interrupt: Callable[[], None] = _no_interrupt) -> None:
        """Do `work` a step at a time while no job is in flight; it takes the place of earlier work.

        A job waits for one step at most, and less if `interrupt`, called on the main thread, makes
        the step raise `Interrupted`: then the work begins anew after the job. None ends the work;
        so does an error in it, silently, because a job that meets it will tell.
        """
        if work is None and not self._idling:
            return
        if self._worker is None:
            self._worker = _Worker(self._answers)
        was_idling, self._idling = self._idling, self._idling - 1 if work else 0
        self._interrupt = interrupt
        self._worker.tickets.put(_Ticket(self._idling, work or _nothing))
        if work and not was_idling and not self.busy:
            QTimer.singleShot(POLL_MS, self._tick)

    def close(self) -> None:
        """Let the thread end at the job's next yield, and emit nothing more.

        Safe when Qt is half gone. A later job starts a new thread.
        """
        if self._ticket is not None:
            self._ticket.cancelled.set()
            self._ticket = None
        self._idling = 0
        if self._worker is not None:
            self._worker.stop()
            self._worker = None

    def _tick(self) -> None:
        """Poll as long as there is work; single shots, so that no timer outlives Qt."""
        if self._ticket is not None or self._idling:
            self._poll()
        if self._ticket is not None or self._idling:
            self._wait()

    def _wait(self) -> None:
        young = self.busy and time.monotonic() - self._started < FAST_S
        QTimer.singleShot(FAST_POLL_MS if young else POLL_MS, self._tick)

    def _poll(self) -> None:
        """Hand over what has come from the job in flight, or from the idle work."""
        ticket, items, ending, idled = self._ticket, [], None, None
        while True:
            try:
                generation, item = self._answers.get_nowait()
            except Empty:
                break
            if generation < 0 and generation == self._idling:
                self._idling, idled = (0, idled) if isinstance(item, Ending) else (generation, item)
            if ticket is None or generation != ticket.generation:
                continue
            if isinstance(item, Ending):
                ending = item
            else:
                items.append(item)
        if idled is not None:
            self.idled.emit(idled)
        if items:
            self.yielded.emit(items)
        # A listener may have cancelled: then the end has been told already.
        if ending is not None and self._ticket is ticket:
            self._end(ending)

    def _end(self, ending: Ending) -> None:
        self._ticket = None
        self.ended.emit(ending)


class _Worker:
    """The thread. It holds no reference to the runner, so it cannot keep it alive."""

    def __init__(self, answers: SimpleQueue[tuple[int, Any]]) -> None:
        self.tickets: SimpleQueue[_Ticket | None] = SimpleQueue()
        self._answers = answers
        self._settled, self._stopping = threading.Event(), threading.Event()
        self._ended = threading.Event()
        self._start_thread(MOST_CANDIDATES)
        atexit.register(self._stop_and_wait)

    def stop(self) -> None:
        """Let the thread end at the next yield."""
        self._stopping.set()
        self.tickets.put(None)

    def _stop_and_wait(self) -> None:
        """At a normal exit: native code that runs while the interpreter is taken down crashes."""
        self.stop()
        self._ended.wait(EXIT_WAIT_S)

    def _start_thread(self, candidates: int) -> None:
        # A daemon, so that a crashed script can exit.
        threading.Thread(
            target=self._settle, args=(candidates,), name=THREAD_NAME, daemon=True
        ).start()

    def _settle(self, candidates: int) -> None:
        """Be the worker, if this thread's memory is the right one; or else start another.

        See `arena`. glibc deals its arenas out in turn, so one of the next threads gets the main
        one, as long as this one holds its own; then the others end.
        """
        if candidates > 1 and not in_main_arena():
            self._start_thread(candidates - 1)
            self._settled.wait()
            return
        self._settled.set()
        _yield_to_gui()
        idle: Iterator[None] | None = None
        while (ticket := self._next_ticket(idle)) is not None:
            if ticket.generation > 0:
                ending = _run(ticket, self._answers, self._stopping)
                self._answers.put((ticket.generation, ending))
            else:
                idle = _steps(ticket, self._answers)
        self._ended.set()

    def _next_ticket(self, idle: Iterator[None] | None) -> _Ticket | None:
        """The next ticket; until it comes, the idle work goes on step by step."""
        while idle is not None and not self._stopping.is_set():
            try:
                return self.tickets.get_nowait()
            except Empty:
                if next(idle, idle) is idle:
                    break
        return self.tickets.get()


def post(item: Any) -> None:
    """Hand `item` to the main thread in the middle of a step, as if the job had yielded it.

    For what a long call inside a job tells by a callback. To be called on the job's own thread, and
    in idle work within its first step.
    """
    _current.post(item)


def _nothing() -> Iterator[Any]:
    return iter(())


def _steps(ticket: _Ticket, answers: SimpleQueue[tuple[int, Any]]) -> Iterator[None]:
    """Idle work step by step, anew when it was interrupted, and its end."""
    interrupted = True
    while interrupted:
        interrupted = False
        _current.post = lambda item: answers.put((ticket.generation, item))
        try:
            for item in ticket.job():
                answers.put((ticket.generation, item))
                yield
        except Interrupted:
            interrupted = True
            yield
        except Exception:
            _log.debug("Idle work ended early", exc_info=True)
            answers.put((ticket.generation, ""))
    answers.put((ticket.generation, Ending("finished")))


def _run(
    ticket: _Ticket, answers: SimpleQueue[tuple[int, Any]], stopping: threading.Event
) -> Ending:
    """One job, with the barrier that lets no exception pass unseen."""
    _current.post = lambda item: answers.put((ticket.generation, item))
    try:
        items = ticket.job()
        for item in items:
            if ticket.cancelled.is_set() or stopping.is_set():
                return Ending("cancelled")
            answers.put((ticket.generation, item))
    except MedSAMLiteError as error:
        return Ending("failed", str(error))
    except MemoryError:
        return Ending("failed", "The computer ran out of memory; close programs and try again.")
    except BaseException as error:
        _log.exception("A job failed")
        first_line = (str(error).splitlines() or [""])[0]
        return Ending("failed", f"Something went wrong ({type(error).__name__}: {first_line}).")
    return Ending("finished")


def _yield_to_gui() -> None:
    """Lower this thread's priority on Linux, where that is a thread's own matter.

    Threads that it starts inherit it, so the window stays quick when all cores compute.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
