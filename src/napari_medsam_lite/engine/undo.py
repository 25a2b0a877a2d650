"""What was done, to be taken back and repeated: many levels deep, bounded in number and bytes."""

from __future__ import annotations

import itertools
from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar

MOST_BYTES = 256 * 2**20
MOST_ENTRIES = 200
"""Small ones hold tables of boxes and segments, which are not counted in bytes."""
_serials = itertools.count(1)


def next_serial() -> int:
    """A number higher than all before: which of two things was done later."""
    return next(_serials)


class Undoable(Protocol):
    """Something that was done to one target; `serial` counts what was done, everywhere."""

    target: Hashable
    serial: int

    @property
    def nbytes(self) -> int:
        """Memory that it holds."""


E = TypeVar("E", bound=Undoable)


class UndoStack(Generic[E]):
    """What was done to several targets, in order; to take it back is the caller's work.

    Targets are told apart by equality.

    Parameters
    ----------
    max_bytes, max_entries : int
        Of all entries together. The oldest make room; the newest one always stays.
    """

    def __init__(self, max_bytes: int = MOST_BYTES, max_entries: int = MOST_ENTRIES) -> None:
        self.max_bytes, self.max_entries = max_bytes, max_entries
        self._done: list[E] = []
        self._undone: list[E] = []

    @property
    def nbytes(self) -> int:
        """Memory of all entries."""
        return sum(entry.nbytes for entry in (*self._done, *self._undone))

    def push(self, entry: E) -> None:
        """Something was done, so what was taken back from its target can be repeated no more."""
        self._undone = [other for other in self._undone if other.target != entry.target]
        self._done.append(entry)
        self.trim()

    def trim(self) -> None:
        """Let the oldest entries go until the rest is small enough; an entry may have grown."""
        while len(self._done) > 1 and self._is_too_much:
            self._done.pop(0)

    @property
    def _is_too_much(self) -> bool:
        count = len(self._done) + len(self._undone)
        return count > self.max_entries or self.nbytes > self.max_bytes

    def undoable(self, target: Hashable) -> E | None:
        """What was done to `target` last."""
        return _last(self._done, target)

    def redoable(self, target: Hashable) -> E | None:
        """What was taken back from `target` last."""
        return _last(self._undone, target)

    def later(self, entry: E) -> list[E]:
        """What was done to the target of `entry` after it, also if it was taken back since."""
        everything = (*self._done, *self._undone)
        return [e for e in everything if e.target == entry.target and e.serial > entry.serial]

    def undo(self, target: Hashable) -> E | None:
        """Count what was done to `target` last as taken back, and return it."""
        return _move(target, self._done, self._undone)

    def redo(self, target: Hashable) -> E | None:
        """Count what was taken back from `target` last as done, and return it."""
        return _move(target, self._undone, self._done)

    def count(self, target: Hashable) -> tuple[int, int]:
        """How many entries of `target` can be taken back, and how many repeated."""
        return tuple(sum(e.target == target for e in part) for part in (self._done, self._undone))  # type: ignore[return-value]

    def forget(self, target: Hashable) -> None:
        """Drop what is kept for `target`, which is gone."""
        for entries in (self._done, self._undone):
            entries[:] = [entry for entry in entries if entry.target != target]


def _last(entries: list[E], target: Hashable) -> E | None:
    return next((entry for entry in reversed(entries) if entry.target == target), None)


def _move(target: Hashable, source: list[E], goal: list[E]) -> E | None:
    entry = _last(source, target)
    if entry is not None:
        source[:] = [other for other in source if other is not entry]
        goal.append(entry)
    return entry
