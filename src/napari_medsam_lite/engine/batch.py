"""Many cases: in this process, in worker processes, or on a Dask cluster.

A case is done by one function of one argument; what it is and where its files are is the caller's
matter. A case that fails is an outcome like any other and stops no other case.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from napari_medsam_lite.core.errors import BackendUnavailableError, MedSAMLiteError

Item = TypeVar("Item")
Result = TypeVar("Result")

CONNECT_SECONDS = 10
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


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
            except MedSAMLiteError as error:
                yield Outcome(case, error=error)
            else:
                leaving.append((case, writer.submit(write, case, answer)))
            while len(leaving) > 1:
                yield _outcome(*leaving.pop(0))
        for pending in leaving:
            yield _outcome(*pending)


def run_in_processes(
    work: Callable[[Item], Result], cases: Sequence[Item], workers: int
) -> Iterator[Outcome[Item, Result]]:
    """Cases in `workers` new processes, as they are done; the cores are divided among them."""
    threads = max(1, (os.cpu_count() or 1) // workers)
    with ProcessPoolExecutor(
        min(workers, len(cases)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=limit_threads,
        initargs=(threads,),
    ) as pool:
        futures = {pool.submit(work, case): case for case in cases}
        for future in as_completed(futures):
            yield _outcome(futures[future], future)


def run_on_cluster(
    work: Callable[[Item], Result], cases: Sequence[Item], address: str
) -> Iterator[Outcome[Item, Result]]:
    """Cases on the Dask cluster whose scheduler is at `address`, as they are done.

    Each case is answered once. What a dying worker had not handed over, Dask gives to another one,
    so `work` must bear to be done again: a labels file is then replaced by an equal one.

    Raises
    ------
    BackendUnavailableError
        If Dask's distributed package is not installed, or no scheduler answers.
    """
    try:
        from distributed import Client
        from distributed import as_completed as as_dask_completes
    except ImportError:
        raise BackendUnavailableError(
            "A cluster needs Dask: pip install 'napari-medsam-lite[distributed]'."
        ) from None
    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise BackendUnavailableError(f"No Dask scheduler answers at {address}.") from error
    with client:
        futures = {client.submit(work, case, pure=False): case for case in cases}
        for future in as_dask_completes(futures, loop=client.loop):
            yield _outcome(futures[future], future)


def limit_threads(threads: int) -> None:
    """Let the numerical libraries of this process, not yet loaded, use so many threads."""
    for name in THREAD_VARIABLES:
        os.environ[name] = str(threads)


def _outcome(case: Item, future: Any) -> Outcome[Item, Result]:
    try:
        return Outcome(case, result=future.result())
    except MedSAMLiteError as error:
        return Outcome(case, error=error)
    except (BrokenProcessPool, MemoryError) as error:
        return Outcome(case, error=MedSAMLiteError(f"The worker process ended: {error}"))
