"""Many cases on a Dask cluster, also when workers die on them or the scheduler is restarted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import Any

from napari_medsam_lite.core.errors import BackendUnavailableError, MedSAMLiteError
from napari_medsam_lite.engine.batch import Answer, Item, Outcome, Result, outcome_of

CONNECT_SECONDS = 10
RETURN_SECONDS = 120.0
"""How long a scheduler that was lost is waited for: a restart takes a minute."""
MOST_LOSSES = 3
"""In a row, without a case answered in between."""
LOOK_SECONDS = 2.0
RESULT_SECONDS = 60.0
"""For what a case reports: a few lines."""


class LostClusterError(MedSAMLiteError):
    """The scheduler is gone, and with it what it knew of a case."""


def run_on_cluster(
    work: Callable[[Item], Result], cases: Sequence[Item], address: str
) -> Iterator[Outcome[Item, Result]]:
    """Cases on the Dask cluster whose scheduler is at `address`, as they are done.

    Each case is answered once. What a dying worker had not handed over, Dask gives to another one,
    so `work` must bear to be done again: a labels file is then replaced by an equal one. A case
    that Dask gives up, because workers died on it, is tried once more at the end. When the
    scheduler is lost, it is waited for, and given what was not answered yet.

    Raises
    ------
    BackendUnavailableError
        If Dask's distributed package is not installed, or no scheduler answers.
    """
    client, left, losses = _client(address), list(cases), 0
    while True:
        lost: list[Item] = []
        with _closing(client):
            for answer in _with_second_tries(client, work, left):
                if isinstance(answer[2], LostClusterError):
                    lost.append(answer[0])
                else:
                    losses = 0
                    yield outcome_of(*answer)
        losses += 1
        again = _client_again(address) if lost and losses <= MOST_LOSSES else None
        if again is None:
            yield from (outcome_of(case, None, _lost(address)) for case in lost)
            return
        client, left = again, lost


def _with_second_tries(
    client: Any, work: Callable[[Item], Result], cases: Sequence[Item]
) -> Iterator[Answer[Item, Result]]:
    from distributed import KilledWorker

    dropped: list[Item] = []
    for answer in _by_cluster(client, work, cases):
        if isinstance(answer[2], KilledWorker):
            dropped.append(answer[0])
        else:
            yield answer
    for case in dropped:
        yield from _by_cluster(client, work, [case])


def _client(address: str) -> Any:
    try:
        from distributed import Client
        from distributed.comm.addressing import get_address_host_port
    except ImportError:
        raise BackendUnavailableError(
            "A cluster needs Dask: pip install 'napari-medsam-lite[distributed]'."
        ) from None
    try:
        # First, because a client that refuses its address leaves its event loop running.
        get_address_host_port(address)
        return Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise BackendUnavailableError(
            f"No Dask scheduler answers at '{address}'; an address is like tcp://192.168.0.7:8786."
        ) from error


@contextmanager
def _closing(client: Any) -> Iterator[None]:
    try:
        yield
    finally:
        with suppress(OSError, RuntimeError):  # it was looking for a scheduler that is gone
            client.close()


def _client_again(address: str) -> Any:
    """A client of the scheduler once it is back; None if it stays away.

    A new one: the old one comes back by itself perhaps, but never to what it had asked for.
    """
    end = time.monotonic() + RETURN_SECONDS
    while time.monotonic() < end:
        try:
            return _client(address)
        except BackendUnavailableError:
            time.sleep(1)
    return None


def _by_cluster(
    client: Any, work: Callable[[Item], Result], cases: Sequence[Item]
) -> Iterator[Answer[Item, Result]]:
    """The cases as they are done; those that the scheduler forgot are lost."""
    arrived: SimpleQueue[Any] = SimpleQueue()
    scheduler = _identity(client)
    waiting = {client.submit(work, case, pure=False): case for case in cases}
    for future in waiting:
        future.add_done_callback(arrived.put)
    while waiting:
        try:
            future = arrived.get(timeout=LOOK_SECONDS)
        except Empty:
            # Not by its futures alone: some were waited for in vain after a quick restart.
            if _identity(client) == scheduler:
                continue
            break
        answer = (waiting.pop(future), *_result(future))
        # What is here is no longer wanted there: else, when the worker that holds it dies, the
        # case would be run again.
        future.release()
        yield answer
    yield from ((case, None, LostClusterError()) for case in waiting.values())


def _identity(client: Any) -> str | None:
    """What tells a scheduler from the one before it at the same address; None if none answers."""
    try:
        return str(client.scheduler_info()["id"])
    except (OSError, ValueError, LookupError, RuntimeError, AttributeError):  # it is being lost
        return None


def _result(future: Any) -> tuple[Any, BaseException | None]:
    """What came of a future that is done, or what was raised instead."""
    match future.status:
        case "finished":
            try:
                return future.result(timeout=RESULT_SECONDS), None
            except Exception:  # it was here a moment ago
                return None, LostClusterError()
        case "error":
            return None, future.exception(timeout=RESULT_SECONDS)
        case _:
            return None, LostClusterError()


def _lost(address: str) -> LostClusterError:
    return LostClusterError(
        f"The Dask scheduler at {address} was lost and did not come back; the same command again "
        "does what is left."
    )
