"""Masks written into a label array, by a stated rule where they overlap, with the way back.

One painter for the dock and the command line: the same masks give the same labels in both, in
whatever order they come.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.core.settings import Overlap, parse_overlap
from napari_medsam_lite.engine.propagation.slice_mask import SliceMask
from napari_medsam_lite.engine.steps import Change, LabelArray, Part, Step, planes_across

HIGHEST_LABEL = int(np.iinfo(np.uint16).max)
FOREIGN = -1
"""The rank of labels that do not belong to the run."""

TWICE_AS_LARGE = 0.05
"""How much higher the predicted IoU of a mask must be to win over one of half its area.

Chosen in docs/quality.md: a large organ's mask often covers a small one that lies in its box.
"""


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

    Attributes
    ----------
    withheld : dict
        Slice -> voxels of masks that stayed with labels not of this run, or as a person painted
        them.
    """

    def __init__(
        self,
        labels: LabelArray,
        axis: int,
        ids: Sequence[int],
        overlap: Overlap,
        step: Step | None = None,
    ) -> None:
        self._planes, self._axis = planes_across(labels, axis), axis
        self.protect(None, ())
        self._ids, self._overlap, self._step = list(ids), parse_overlap(overlap), step
        self._known = np.unique(self._ids)
        self.withheld: dict[int, int] = {}
        self._ranks: dict[int, NDArray[np.int64]] = {}
        self._best: dict[int, NDArray[np.float16]] = {}

    def protect(self, held: NDArray[np.bool_] | None, locked: Collection[int]) -> None:
        """Let voxels stay from now on: those `held`, bool like the labels, and `locked` labels."""
        self._held = None if held is None else planes_across(held, self._axis)
        self._locked = sorted(locked)

    def paint(self, item: SliceMask) -> None:
        """Write one mask; `item.object` is its place in `ids`."""
        label, rank = self._ids[item.object], item.object + 1
        ranks = self._ranks_on(item.index)
        own = int(np.searchsorted(self._known, label))
        if ranks[own] == 0:
            self.erase(label, item.index)
        ranks[own] = max(ranks[own], rank)
        under = self._planes[item.index][item.window]
        owners = self._owners(under, ranks)
        wins = item.patch & self._yields(owners, rank, item)
        stays = self._stays(item.index, item.window)
        kept = item.patch & (stays | (owners == FOREIGN) & ~wins) & (under != label)
        if kept.any():
            here = self.withheld.get(item.index, 0)
            self.withheld[item.index] = here + int(np.count_nonzero(kept))
        self._write(item.index, item.window, wins & ~stays, label)

    def erase(self, label: int, index: int) -> None:
        """Remove `label` from one slice."""
        mine = (self._planes[index] == label) & ~self._stays(index, (slice(None), slice(None)))
        rows, columns = np.flatnonzero(mine.any(axis=1)), np.flatnonzero(mine.any(axis=0))
        if rows.size:
            window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
            self._write(index, window, mine[window], 0)

    def _stays(self, index: int, window: Part) -> NDArray[np.bool_]:
        """Which voxels nobody may change."""
        under = self._planes[index][window]
        stays = np.isin(under, self._locked) if self._locked else np.zeros(under.shape, bool)
        return stays if self._held is None else stays | self._held[index][window]

    def _yields(self, owners: NDArray[np.int64], rank: int, item: SliceMask) -> NDArray[np.bool_]:
        """Which voxels, by the rank of the label they have, give way to the object of `rank`."""
        if self._overlap == "overwrite":
            return np.asarray(owners <= rank)
        if self._overlap == "keep":
            return np.asarray((owners == 0) | (owners >= rank))
        best, strength = self._best_on(item), self._strength(item)
        # Ties go to the earlier object, so that the order in which masks come does not decide.
        higher = (strength > best) | ((strength == best) & (rank < owners))
        higher &= owners != FOREIGN
        taken = item.patch & higher
        best[taken] = strength[taken]
        return np.asarray(higher)

    def _strength(self, item: SliceMask) -> NDArray[np.float16]:
        """What of each voxel is compared where masks overlap; half precision keeps it small."""
        if self._overlap == "logit":
            return item.logits.astype(np.float16)
        strength = item.score - TWICE_AS_LARGE * np.log2(max(item.area, 1))
        return np.full(item.logits.shape, strength, np.float16)

    def _owners(self, under: LabelArray, ranks: NDArray[np.int64]) -> NDArray[np.int64]:
        """The rank of the label of each voxel."""
        places = np.minimum(np.searchsorted(self._known, under), len(self._known) - 1)
        others = np.where(under == 0, 0, FOREIGN)
        return np.where(self._known[places] == under, ranks[places], others)

    def _ranks_on(self, index: int) -> NDArray[np.int64]:
        """The rank of each of the run's labels on a slice: 1, 2, ... once it is painted there.

        Before that 0, nobody's: what the label had before the run must not block the others, for
        it is about to be replaced.
        """
        return self._ranks.setdefault(index, np.zeros(len(self._known), np.int64))

    def _best_on(self, item: SliceMask) -> NDArray[np.float16]:
        if item.index not in self._best:
            self._best[item.index] = np.full(item.shape, -np.inf, np.float16)
        return self._best[item.index][item.window]

    def _write(self, index: int, window: Part, where: NDArray[np.bool_], label: int) -> None:
        view = self._planes[index][window]
        if self._step is None:
            view[where] = label
        elif where.any():
            before = view.copy()
            view[where] = label
            change = Change(window, before, view.copy())
            self._step.add(index, change, self._planes[index])


def empty_labels(shape: tuple[int, ...], ids: Sequence[int]) -> NDArray[np.unsignedinteger[Any]]:
    """Zeros of `shape`: uint8, or uint16 where an id needs it.

    Raises
    ------
    MedSAMLiteError
        If an id does not lie between 1 and 65535.
    """
    check_ids(ids)
    small = max(ids, default=0) <= np.iinfo(np.uint8).max
    return np.zeros(shape, np.uint8 if small else np.uint16)


def room_for(labels: LabelArray, ids: Sequence[int]) -> LabelArray:
    """`labels` itself if its type holds `ids`, else a copy in uint16; errors as `empty_labels`."""
    check_ids(ids)
    return labels if max(ids) <= np.iinfo(labels.dtype).max else labels.astype(np.uint16)


def check_ids(ids: Iterable[int]) -> None:
    """Raise MedSAMLiteError unless all `ids` lie between 1 and 65535."""
    if not all(1 <= number <= HIGHEST_LABEL for number in ids):
        raise MedSAMLiteError(f"Labels must lie between 1 and {HIGHEST_LABEL}.")
