"""The thread: tickets in, answers out. It knows neither Qt nor what a task does."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

from napari_medsam_lite.acceleration.torch.allocator import in_main_arena
from napari_medsam_lite.core.errors import Interrupted, MedSAMLiteError
from napari_medsam_lite.gui.thread.task import Ending

NICENESS = 10
EXIT_WAIT_S = 10.0
MOST_CANDIDATES = 64
THREAD_NAME = "medsam-lite"

Work = Callable[[], Iterator[Any]]
_current = threading.local()
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ticket:
    """Work with its number, which no other ticket of this process has, and its stop sign."""

    number: int
    work: Work
    is_idle: bool
    cancelled: threading.Event = field(default_factory=threading.Event)


Answers = SimpleQueue[tuple[int, Any]]
"""(number of the ticket, what its work yielded or at last its `Ending`)."""


class Worker:
    """One thread that does jobs one after the other, and idle work between them.

    It holds no reference to the runner, so it cannot keep it alive.
    """

    def __init__(self, answers: Answers) -> None:
        self._tickets: SimpleQueue[Ticket | None] = SimpleQueue()
        self._answers = answers
        self._settled, self._stopping = threading.Event(), threading.Event()
        self._ended = threading.Event()
        self._start_thread(MOST_CANDIDATES)
        atexit.register(self._stop_and_wait)

    def put(self, ticket: Ticket) -> None:
        """Do a job next, or this idle work instead of the last."""
        self._tickets.put(ticket)

    def stop(self) -> None:
        """Let the thread end at the next yield."""
        self._stopping.set()
        self._tickets.put(None)
        # From now on an exit waits for the thread without keeping what it has answered.
        atexit.unregister(self._stop_and_wait)
        atexit.register(self._ended.wait, EXIT_WAIT_S)

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

        See `allocator`. glibc deals its arenas out in turn, so one of the next threads gets the
        main one, as long as this one holds its own; then the others end.
        """
        if candidates > 1 and not in_main_arena():
            self._start_thread(candidates - 1)
            self._settled.wait()
            return
        self._settled.set()
        _yield_to_gui()
        idle: Iterator[None] | None = None
        while (ticket := self._next_ticket(idle)) is not None:
            if ticket.is_idle:
                idle = _steps(ticket, self._answers)
            else:
                self._answers.put((ticket.number, _run(ticket, self._answers, self._stopping)))
            # While it waits, the thread must hold nothing of a dock that may be closed meanwhile.
            ticket, _current.post = None, None
        self._ended.set()

    def _next_ticket(self, idle: Iterator[None] | None) -> Ticket | None:
        """The next ticket; until it comes, the idle work goes on step by step."""
        while idle is not None and not self._stopping.is_set():
            try:
                return self._tickets.get_nowait()
            except Empty:
                if next(idle, idle) is idle:
                    break
        return self._tickets.get()


def post(item: Any) -> None:
    """Hand `item` to the main thread in the middle of a step, as if the work had yielded it.

    For what a long call inside the work tells by a callback. To be called on the worker thread,
    and in idle work within its first step.
    """
    _current.post(item)


def _steps(ticket: Ticket, answers: Answers) -> Iterator[None]:
    """Idle work step by step, anew when it was interrupted, and its end."""
    interrupted = True
    while interrupted and not ticket.cancelled.is_set():
        interrupted = False
        _current.post = lambda item: answers.put((ticket.number, item))
        try:
            for item in ticket.work():
                answers.put((ticket.number, item))
                yield
                if ticket.cancelled.is_set():
                    break
        except Interrupted:
            interrupted = True
            yield
        except Exception:
            # Silently: a job that meets the same error will tell it.
            _log.debug("Idle work ended early", exc_info=True)
            answers.put((ticket.number, Ending("failed")))
            return
    answers.put((ticket.number, Ending("finished")))


def _run(ticket: Ticket, answers: Answers, stopping: threading.Event) -> Ending:
    """One job, with the barrier that lets no exception pass unseen."""
    _current.post = lambda item: answers.put((ticket.number, item))
    try:
        for item in ticket.work():
            if ticket.cancelled.is_set() or stopping.is_set():
                return Ending("cancelled")
            answers.put((ticket.number, item))
    except BaseException as error:
        return failure(error)
    return Ending("finished")


def failure(error: BaseException) -> Ending:
    """The end that an exception makes, in one sentence; what nobody expected is logged."""
    if isinstance(error, MedSAMLiteError):
        return Ending("failed", str(error))
    if isinstance(error, MemoryError):
        return Ending("failed", "The computer ran out of memory; close programs and try again.")
    _log.error("A task failed", exc_info=error)
    first_line = (str(error).splitlines() or [""])[0]
    return Ending("failed", f"Something went wrong ({type(error).__name__}: {first_line}).")


def _yield_to_gui() -> None:
    """Lower this thread's priority on Linux, where that is a thread's own matter.

    Threads that it starts inherit it, so the window stays quick when all cores compute.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
