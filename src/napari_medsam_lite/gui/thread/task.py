"""What the runner runs: work for the thread, and what the main thread makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Ending:
    """How a task ended, and for a failure why, in one sentence."""

    how: Literal["finished", "cancelled", "failed"]
    reason: str = ""


class Task:
    """A piece of work with its own handlers: nobody else hears of what it yields."""

    def work(self) -> Iterator[Any]:
        """The work, on the worker thread; between two items it can be cancelled."""
        raise NotImplementedError

    def on_items(self, items: list[Any]) -> None:
        """Take what `work` has yielded since the last time, in order. Main thread."""

    def on_ended(self, ending: Ending) -> None:
        """Take the end, told once, after the last items. Main thread."""

    def interrupt(self) -> None:
        """Make the step in flight raise `Interrupted`, where that can be done. Main thread."""
