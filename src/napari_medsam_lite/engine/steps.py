"""What was written into a label array in one go, as patches: the way back, and forth again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.errors import MedSAMLiteError

LabelArray = NDArray[Any]
Part = tuple[slice, slice]


@dataclass(frozen=True)
class Change:
    """A patch of one slice as it was and as it became: (h, w) each, in the array's type."""

    window: Part
    before: LabelArray
    after: LabelArray

    @property
    def nbytes(self) -> int:
        """Memory of both patches."""
        return self.before.nbytes + self.after.nbytes

    def then(self, other: Change, plane: LabelArray) -> Change:
        """Join it with a later change of the same slice, over the window of both.

        What lies between the two windows is filled from `plane`, the slice as it is.
        """
        window = rows, columns = _around(self.window, other.window)
        after = plane[window].copy()
        before = after.copy()

        def inside(part: Part) -> Part:
            y, x = part
            return (
                slice(y.start - rows.start, y.stop - rows.start),
                slice(x.start - columns.start, x.stop - columns.start),
            )

        for change in (other, self):
            before[inside(change.window)] = change.before
        for change in (self, other):
            after[inside(change.window)] = change.after
        return Change(window, before, after)


@dataclass
class Step:
    """All that one run wrote into one array: what undo takes back.

    Attributes
    ----------
    axis : int
        The slices lie across this array axis.
    shape : tuple of int
        Of the array.
    changes : dict
        Slice -> the change of the whole run there. One, not a chain: taken back link by link, a
        chain would bring back what was erased by hand since.
    """

    axis: int
    shape: tuple[int, ...]
    changes: dict[int, Change] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Memory of all patches."""
        return sum(change.nbytes for change in self.changes.values())

    @property
    def labels(self) -> frozenset[int]:
        """The labels that voxels had before or have after, where these are not the same."""
        found: set[int] = set()
        for change in self.changes.values():
            others = change.before != change.after
            for patch in (change.before, change.after):
                found.update(np.unique(patch[others]).tolist())
        return frozenset(found - {0})

    def first_axis(self, indices: Iterable[int] | None = None) -> set[int]:
        """The slices across the first axis that were changed, by `indices` or at all."""
        found = self.changes.keys() if indices is None else self.changes.keys() & set(indices)
        if self.axis == 0:
            return set(found)
        rows = (self.changes[index].window[0] for index in found)
        return {row for part in rows for row in range(part.start, part.stop)}

    def add(self, index: int, change: Change, plane: LabelArray) -> None:
        """A slice, `plane` by now, was changed, perhaps again."""
        earlier = self.changes.get(index)
        self.changes[index] = change if earlier is None else earlier.then(change, plane)

    def revert(self, labels: LabelArray) -> None:
        """Take the step back; voxels that were changed since then keep that change.

        Raises
        ------
        MedSAMLiteError
            If `labels` is an array of another shape by now.
        """
        planes = self._planes(labels)
        for index, change in self.changes.items():
            _exchange(planes[index][change.window], change.after, change.before)

    def repeat(self, labels: LabelArray) -> None:
        """Do the step again where it was taken back; errors as `revert`."""
        planes = self._planes(labels)
        for index, change in self.changes.items():
            _exchange(planes[index][change.window], change.before, change.after)

    def _planes(self, labels: LabelArray) -> LabelArray:
        if labels.shape != self.shape:
            raise MedSAMLiteError(
                "The labels were replaced by others of another shape, so the run that painted the "
                "old ones cannot be taken back or repeated."
            )
        return planes_across(labels, self.axis)


def step_to(wanted: LabelArray, labels: LabelArray) -> Step:
    """What makes `labels`, of the same shape, hold what `wanted` does; it is done now."""
    step = Step(0, labels.shape)
    for index, plane in enumerate(planes_across(labels, 0)):
        others = planes_across(wanted, 0)[index]
        rows, columns = ((others != plane).any(axis=axis) for axis in (1, 0))
        if not rows.any():
            continue
        (top, bottom), (left, right) = (np.flatnonzero(w)[[0, -1]] for w in (rows, columns))
        window = slice(top, bottom + 1), slice(left, right + 1)
        step.add(index, Change(window, plane[window].copy(), others[window].copy()), plane)
    step.repeat(labels)
    return step


def planes_across(labels: LabelArray, axis: int) -> LabelArray:
    """A view whose first axis counts the slices; (Y, X) becomes its own only slice."""
    return labels[np.newaxis] if labels.ndim == 2 else np.moveaxis(labels, axis, 0)


def _around(first: Part, second: Part) -> Part:
    """The smallest window that holds both."""
    rows, columns = (
        slice(min(a.start, b.start), max(a.stop, b.stop))
        for a, b in zip(first, second, strict=True)
    )
    return rows, columns


def _exchange(view: LabelArray, expected: LabelArray, wanted: LabelArray) -> None:
    ours = (expected != wanted) & (view == expected)
    view[ours] = wanted[ours]
