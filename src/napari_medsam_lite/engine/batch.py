"""Many cases: in this process or in worker processes; on a Dask cluster, see `engine.cluster`.

A case is done by one function of one argument; what it is and where its files are is the caller's
matter. A case that fails, in whatever way, is an outcome like any other and stops no other case.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar

from napari_medsam_lite.core.cores import usable_cores
from napari_medsam_lite.core.errors import DeviceMemoryError, MedSAMLiteError

Item = TypeVar("Item")
Result = TypeVar("Result")
Answer = tuple[Item, Result | None, BaseException | None]
"""A case, and its result or what was raised instead."""

log = logging.getLogger(__name__)

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

ENDED_TWICE = (
    "Its worker process ended without an answer, and again when it was tried alone; most likely "
    "the memory is too small for it."
)


@dataclass(frozen=True)
class Outcome(Generic[Item, Result]):
    """What became of a case: a result, or one sentence on why there is none."""

    case: Item
    result: Result | None = None
    error: MedSAMLiteError | None = None


def run_overlapped(
    read: Callable[[Item], Any],
    segment: Callable[[Item, Any], Any],
    write: Callable[[Item, Any], Result],
    cases: Sequence[Item],
) -> Iterator[Outcome[Item, Result]]:
    """Cases one after another in this process, in their order.

    While one is segmented, the next is read and the last is written on threads of their own.
    """
    with ThreadPoolExecutor(1, "read") as reader, ThreadPoolExecutor(1, "write") as writer:
        coming = [reader.submit(read, case) for case in cases[:1]]
        leaving: list[tuple[Item, Future[Result]]] = []
        for i, case in enumerate(cases):
            contents = coming.pop()
            coming = [reader.submit(read, following) for following in cases[i + 1 : i + 2]]
            try:
                answer = segment(case, contents.result())
            except Exception as error:
                yield outcome_of(case, None, error)
            else:
                leaving.append((case, writer.submit(write, case, answer)))
            while len(leaving) > 1:
                yield outcome_of(*_answer(*leaving.pop(0)))
        for pending in leaving:
            yield outcome_of(*_answer(*pending))


def run_in_processes(
    work: Callable[[Item], Result],
    cases: Sequence[Item],
    workers: int,
    again: Callable[[Item], Item] = lambda case: case,
) -> Iterator[Outcome[Item, Result]]:
    """Cases in `workers` new processes, as they are done; the cores are divided among them.

    A process that dies costs the case that it was on and no other. That one is tried once more at
    the end, when no other process wants memory. What it had written by then is still there: `again`
    makes of the case one that bears it.
    """
    threads = max(1, usable_cores() // workers)
    dropped: list[Item] = []
    for answer in _by_processes(work, cases, workers, threads):
        if isinstance(answer[2], BrokenProcessPool):
            dropped.append(answer[0])
        else:
            yield outcome_of(*answer)
    for case in dropped:
        for _, result, error in _by_processes(work, [again(case)], 1, threads):
            yield outcome_of(case, result, error)


def _by_processes(
    work: Callable[[Item], Result], cases: Sequence[Item], workers: int, threads: int
) -> Iterator[Answer[Item, Result]]:
    waiting = iter(cases)
    idle = [_WorkerProcess(threads) for _ in range(min(workers, len(cases)))]
    busy: dict[Future[Result], tuple[Item, _WorkerProcess]] = {}
    answers: list[Answer[Item, Result]] = []
    try:
        while True:
            for case in islice(waiting, len(idle)):
                worker = idle.pop()
                busy[worker.submit(work, case)] = case, worker
            yield from answers
            if not busy:
                return
            done, _ = wait(busy, return_when=FIRST_COMPLETED)
            answers = []
            for future in done:
                case, worker = busy.pop(future)
                answer = _answer(case, future)
                answers.append(answer)
                idle.append(worker)
    finally:
        for worker in (*idle, *(worker for _, worker in busy.values())):
            worker.close()


class _WorkerProcess:
    """One process, started anew when it has died.

    Not one pool of several: there, all that waits fails when one process dies, and nothing tells
    which case it was on.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._pool = self._start()

    def submit(self, work: Callable[[Item], Result], case: Item) -> Future[Result]:
        try:
            return self._pool.submit(work, case)
        except BrokenProcessPool:
            self.close()
            self._pool = self._start()
            return self._pool.submit(work, case)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _start(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            1,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=limit_threads,
            initargs=(self._threads,),
        )


def limit_threads(threads: int) -> None:
    """Let the numerical libraries of this process, not yet loaded, use so many threads."""
    for name in THREAD_VARIABLES:
        os.environ[name] = str(threads)


def _answer(case: Item, future: Future[Result]) -> Answer[Item, Result]:
    """What came of a future; waits for it."""
    error = future.exception()
    return case, None if error else future.result(), error


def outcome_of(
    case: Item, result: Result | None, error: BaseException | None
) -> Outcome[Item, Result]:
    """The outcome of a case: what was raised becomes a sentence; Ctrl-C is raised again."""
    if error is None:
        return Outcome(case, result=result)
    if not isinstance(error, Exception):
        raise error
    if isinstance(error, MedSAMLiteError):
        return Outcome(case, error=error)
    log.info("%s failed", case, exc_info=error)
    sentence = _sentence(error)
    sentence.__cause__ = error
    return Outcome(case, error=sentence)


def _sentence(error: Exception) -> MedSAMLiteError:
    """What was not expected, for people."""
    name = type(error).__name__
    if isinstance(error, BrokenProcessPool) or name == "KilledWorker":
        return DeviceMemoryError(ENDED_TWICE)
    if isinstance(error, MemoryError):
        return DeviceMemoryError("The memory is too small for it; close other programs.")
    first_line = (str(error).strip().splitlines() or [""])[0]
    return MedSAMLiteError(f"Something unexpected went wrong ({name}: {first_line}).")
