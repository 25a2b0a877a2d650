"""Masks written into a label array, by a stated rule where they overlap, with the way back.

One painter for the dock and the command line: the same masks give the same labels in both, in
whatever order they come.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.core.settings import Overlap, parse_overlap
from napari_medsam_lite.engine.propagation.slice_mask import SliceMask

HIGHEST_LABEL = int(np.iinfo(np.uint16).max)
FOREIGN = -1
"""The rank of labels that do not belong to the run."""

Labels = NDArray[Any]
Window = tuple[slice, slice]


@dataclass(frozen=True)
class Change:
    """A patch of one slice as it was and as it became: (h, w) each, in the array's type."""

    index: int
    window: Window
    before: Labels
    after: Labels

    @property
    def nbytes(self) -> int:
        """Memory of both patches."""
        return self.before.nbytes + self.after.nbytes


@dataclass
class Step:
    """All that one run wrote into one array: what undo takes back.

    Attributes
    ----------
    axis : int
        The slices lie across this array axis.
    shape : tuple of int
        Of the array.
    changes : list of Change
        In the order in which they were made.
    painted : dict
        Label -> the slices that the run painted it on.
    """

    axis: int
    shape: tuple[int, ...]
    changes: list[Change] = field(default_factory=list)
    painted: dict[int, set[int]] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Memory of all patches."""
        return sum(change.nbytes for change in self.changes)

    def revert(self, labels: Labels) -> None:
        """Take the step back; voxels that were changed since then keep that change.

        Raises
        ------
        MedSAMLiteError
            If `labels` is an array of another shape by now.
        """
        planes = self._planes(labels)
        for change in reversed(self.changes):
            _exchange(planes[change.index][change.window], change.after, change.before)

    def repeat(self, labels: Labels) -> None:
        """Do the step again where it was taken back; errors as `revert`."""
        planes = self._planes(labels)
        for change in self.changes:
            _exchange(planes[change.index][change.window], change.before, change.after)

    def _planes(self, labels: Labels) -> Labels:
        if labels.shape != self.shape:
            raise MedSAMLiteError(
                "The labels were replaced by others of another shape, so the run that painted the "
                "old ones cannot be taken back or repeated."
            )
        return planes_across(labels, self.axis)


class LabelPainter:
    """Paints the masks of one run, in any order, with one outcome.

    Where a label is painted on a slice, the mask takes the place of what the label had there
    before the run.

    Parameters
    ----------
    labels : ndarray
        (Z, Y, X) whole numbers, or (Y, X) as its own only slice; painted in place. Its type must
        hold the ids, see `room_for`.
    axis : int
        The axis that the slices lie across.
    ids : sequence of int
        The label of each object, in the objects' order.
    overlap : str
        See `core.settings.Overlap`.
    step : Step, optional
        Is told every change, for undo.
    """

    def __init__(
        self,
        labels: Labels,
        axis: int,
        ids: Sequence[int],
        overlap: Overlap,
        step: Step | None = None,
    ) -> None:
        self._planes = planes_across(labels, axis)
        self._ids, self._overlap, self._step = list(ids), parse_overlap(overlap), step
        self._ranks: dict[int, NDArray[np.int64]] = {}
        self._best: dict[int, NDArray[np.float16]] = {}

    def paint(self, item: SliceMask) -> None:
        """Write one mask; `item.object` is its place in `ids`."""
        label, rank = self._ids[item.object], item.object + 1
        ranks = self._ranks_on(item.index)
        if ranks[label] == 0:
            self.erase(label, item.index)
        ranks[label] = max(ranks[label], rank)
        under = self._planes[item.index][item.window]
        owners = ranks[np.minimum(under, len(ranks) - 1)]
        wins = item.patch & self._yields(owners, rank, item)
        self._write(item.index, item.window, wins, label)
        if self._step is not None:
            self._step.painted.setdefault(label, set()).add(item.index)

    def erase(self, label: int, index: int) -> None:
        """Remove `label` from one slice."""
        mine = self._planes[index] == label
        rows, columns = np.flatnonzero(mine.any(axis=1)), np.flatnonzero(mine.any(axis=0))
        if rows.size:
            window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
            self._write(index, window, mine[window], 0)

    def _yields(self, owners: NDArray[np.int64], rank: int, item: SliceMask) -> NDArray[np.bool_]:
        """Which voxels, by the rank of the label they have, give way to the object of `rank`."""
        if self._overlap == "overwrite":
            return np.asarray(owners <= rank)
        if self._overlap == "keep":
            return np.asarray((owners == 0) | (owners >= rank))
        best = self._best_on(item)
        higher = (item.logits > best) & (owners != FOREIGN)
        # float16 keeps the memory small; its smallest number marks a voxel as taken all the same.
        taken = item.patch & higher
        best[taken] = np.maximum(item.logits[taken], np.finfo(np.float16).tiny)
        return np.asarray(higher)

    def _ranks_on(self, index: int) -> NDArray[np.int64]:
        """Label -> rank on a slice: 1, 2, ... for the run's objects painted there so far.

        0 is nobody's: background, and what the run's labels had before it, which must not block
        the others, for it is about to be replaced. The last entry stands for all higher labels.
        """
        if index not in self._ranks:
            ranks = np.full(max(self._ids) + 2, FOREIGN, np.int64)
            ranks[[0, *self._ids]] = 0
            self._ranks[index] = ranks
        return self._ranks[index]

    def _best_on(self, item: SliceMask) -> NDArray[np.float16]:
        if item.index not in self._best:
            self._best[item.index] = np.zeros(item.shape, np.float16)
        return self._best[item.index][item.window]

    def _write(self, index: int, window: Window, where: NDArray[np.bool_], label: int) -> None:
        view = self._planes[index][window]
        if self._step is None:
            view[where] = label
        elif where.any():
            before = view.copy()
            view[where] = label
            self._step.changes.append(Change(index, window, before, view.copy()))


def empty_labels(shape: tuple[int, ...], ids: Sequence[int]) -> NDArray[np.unsignedinteger[Any]]:
    """Zeros of `shape`: uint8, or uint16 where an id needs it.

    Raises
    ------
    MedSAMLiteError
        If an id does not lie between 1 and 65535.
    """
    _check_ids(ids)
    small = max(ids, default=0) <= np.iinfo(np.uint8).max
    return np.zeros(shape, np.uint8 if small else np.uint16)


def room_for(labels: Labels, ids: Sequence[int]) -> Labels:
    """`labels` itself if its type holds `ids`, else a copy in uint16; errors as `empty_labels`."""
    _check_ids(ids)
    return labels if max(ids) <= np.iinfo(labels.dtype).max else labels.astype(np.uint16)


def planes_across(labels: Labels, axis: int) -> Labels:
    """A view whose first axis counts the slices; (Y, X) becomes its own only slice."""
    return labels[np.newaxis] if labels.ndim == 2 else np.moveaxis(labels, axis, 0)


def _check_ids(ids: Sequence[int]) -> None:
    if max(ids, default=1) > HIGHEST_LABEL or min(ids, default=1) < 1:
        raise MedSAMLiteError(f"Labels must lie between 1 and {HIGHEST_LABEL}.")


def _exchange(view: Labels, expected: Labels, wanted: Labels) -> None:
    ours = (expected != wanted) & (view == expected)
    view[ours] = wanted[ours]
