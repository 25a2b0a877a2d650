"""A thread for small files: work in order, beside the runs, which may keep their own for long."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache
from typing import Any, TypeVar

from napari_medsam_lite.gui.thread.worker import THREAD_NAME

T = TypeVar("T")


class Filer:
    """Does one piece of work after the other; nobody waits for it on the main thread.

    Docks `join` while they are open; when the last one leaves, the thread does what is left and
    ends. So does the interpreter's exit.
    """

    def __init__(self) -> None:
        self._executor: ThreadPoolExecutor | None = None
        self._last: Future[Any] | None = None
        self._users = 0

    def join(self) -> None:
        """A dock opens."""
        self._users += 1

    def leave(self) -> None:
        """A dock closes, having handed over what it has to."""
        self._users -= 1
        if self._users <= 0 and self._executor is not None:
            self._users = 0
            self._executor.shutdown(wait=False)
            self._executor = None

    def do(self, work: Callable[[], T]) -> Future[T]:
        """Do `work` after all that was handed over before, also before the last dock had left."""
        try:
            future = self._submit(work)
        except RuntimeError:
            # The interpreter is about to end: what was handed over before is done, and no thread is
            # started any more.
            future = _done_here(work)
        self._last = future
        return future

    def _submit(self, work: Callable[[], T]) -> Future[T]:
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, f"{THREAD_NAME} files")
            if self._last is not None:
                self._executor.submit(wait, [self._last])
        return self._executor.submit(work)


def _done_here(work: Callable[[], T]) -> Future[T]:
    future: Future[T] = Future()
    try:
        future.set_result(work())
    except Exception as error:
        future.set_exception(error)
    return future


@cache
def shared_filer() -> Filer:
    """The one of this process."""
    return Filer()
