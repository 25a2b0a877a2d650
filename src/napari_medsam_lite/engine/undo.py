"""Runs that can be taken back and repeated, many levels deep and bounded in bytes."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.engine.painting import LabelArray, Step

MOST_BYTES = 256 * 2**20


@dataclass(frozen=True, eq=False)
class Done:
    """A step and whose array it changed; `target` is told apart by equality."""

    target: Hashable
    step: Step


class UndoStack:
    """Steps in the order in which they were done, over several arrays.

    What a run painted belongs to its step: taken back, it counts as painted no more.

    Parameters
    ----------
    max_bytes : int
        Of all patches together. The oldest steps make room; the newest one always stays. The
        slices that a forgotten step painted stay known.
    """

    def __init__(self, max_bytes: int = MOST_BYTES) -> None:
        self.max_bytes = max_bytes
        self._done: list[Done] = []
        self._undone: list[Done] = []
        self._settled: list[Done] = []
        self._arrays: dict[Hashable, weakref.ref[LabelArray]] = {}

    @property
    def undoable(self) -> int:
        """How many steps can be taken back."""
        return len(self._done)

    @property
    def redoable(self) -> int:
        """How many steps that were taken back can be done again."""
        return len(self._undone)

    @property
    def nbytes(self) -> int:
        """Memory of all patches."""
        return sum(done.step.nbytes for done in (*self._done, *self._undone))

    def know(self, target: Hashable, labels: LabelArray) -> None:
        """The steps of `target` are of this array, also after it was copied into another type."""
        self._arrays[target] = weakref.ref(labels)

    def is_of(self, target: Hashable, labels: LabelArray) -> bool:
        """Whether the steps of `target` were made on this array; true if there are none."""
        known = self._arrays.get(target)
        return known is None or known() is labels

    def push(self, target: Hashable, step: Step) -> None:
        """A step was done, so those taken back can be repeated no more."""
        if not step.changes:
            return
        self._undone.clear()
        self._done.append(Done(target, step))
        while self.nbytes > self.max_bytes and len(self._done) > 1:
            oldest = self._done.pop(0)
            emptied = Step(oldest.step.axis, oldest.step.shape, painted=oldest.step.painted)
            self._settled.append(Done(oldest.target, emptied))

    def undo(self, labels_of: Callable[[Hashable], LabelArray]) -> Hashable | None:
        """Take the newest step back; returns its target, or None if there is none.

        Raises
        ------
        MedSAMLiteError
            If the target has another array by now; its steps are dropped then.
        """
        if not self._done:
            return None
        labels = self._array(self._done[-1].target, labels_of)
        done = self._done.pop()
        done.step.revert(labels)
        self._undone.append(done)
        return done.target

    def redo(self, labels_of: Callable[[Hashable], LabelArray]) -> Hashable | None:
        """Do the step again that was taken back last; as `undo`."""
        if not self._undone:
            return None
        labels = self._array(self._undone[-1].target, labels_of)
        done = self._undone.pop()
        done.step.repeat(labels)
        self._done.append(done)
        return done.target

    def painted(self, target: Hashable, label: int, axis: int) -> frozenset[int]:
        """The slices across `axis` of `target` that runs have painted `label` on."""
        found: set[int] = set()
        for done in (*self._settled, *self._done):
            if done.target == target and done.step.axis == axis:
                found |= done.step.painted.get(label, set())
        return frozenset(found)

    def forget(self, target: Hashable) -> None:
        """Drop what is kept for `target`, which is gone."""
        for steps in (self._done, self._undone, self._settled):
            steps[:] = [done for done in steps if done.target != target]
        self._arrays.pop(target, None)

    def _array(self, target: Hashable, labels_of: Callable[[Hashable], LabelArray]) -> LabelArray:
        labels = labels_of(target)
        if not self.is_of(target, labels):
            self.forget(target)
            raise MedSAMLiteError(
                "The labels were replaced by others since, so what was painted on the old ones "
                "cannot be taken back or repeated."
            )
        return labels
