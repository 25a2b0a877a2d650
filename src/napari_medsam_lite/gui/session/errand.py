"""An errand: something small with files, done off the main thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from napari_medsam_lite.gui.thread.task import Ending, Task


class Errand(Task):
    """Does one thing and hands what came of it on.

    Parameters
    ----------
    do : callable
        On the worker thread.
    then : callable
        On the main thread, with what `do` gave.
    ended : callable
        On the main thread at the end, however it was.
    """

    def __init__(
        self, do: Callable[[], Any], then: Callable[[Any], None], ended: Callable[[Ending], None]
    ) -> None:
        self._do, self._then, self._ended = do, then, ended

    def work(self) -> Iterator[Any]:
        """Do it, all in one step, so that a dock which is closed meanwhile does not undo it."""
        yield self._do()

    def on_items(self, items: list[Any]) -> None:
        """Hand on what came of it."""
        for item in items:
            self._then(item)

    def on_ended(self, ending: Ending) -> None:
        """Tell the end."""
        self._ended(ending)
