"""Masks written into one label array, by a stated rule where they overlap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.core.settings import parse_overlap
from napari_medsam_lite.engine.propagation import SliceMask


class LabelCanvas:
    """A (Z, Y, X) label array that masks are painted on in any order, with one outcome.

    Parameters
    ----------
    shape : tuple of int
        (Z, Y, X).
    axis : int
        The axis that the slices lie across.
    ids : sequence of int
        The label of each object, in the objects' order.
    overlap : str
        See `core.settings.Overlap`.
    """

    def __init__(
        self, shape: tuple[int, int, int], axis: int, ids: Sequence[int], overlap: str
    ) -> None:
        highest = max(ids, default=0)
        if highest > np.iinfo(np.uint16).max or min(ids, default=1) < 1:
            raise MedSAMLiteError("Labels must lie between 1 and 65535.")
        self.labels = np.zeros(shape, np.uint8 if highest <= np.iinfo(np.uint8).max else np.uint16)
        self._planes = np.moveaxis(self.labels, axis, 0)
        self._ids = list(ids)
        self._overlap = parse_overlap(overlap)
        self._order = np.zeros(highest + 1, np.int64)
        self._order[self._ids] = np.arange(1, len(self._ids) + 1)
        self._best: NDArray[np.float16] | None = None
        if self._overlap == "logit" and len(set(self._ids)) > 1:
            self._best = np.zeros(self._planes.shape, np.float16)

    def paint(self, item: SliceMask) -> None:
        """Write one mask."""
        under = self._planes[item.index][item.window]
        wins = item.patch
        if self._best is not None:
            best = self._best[item.index][item.window]
            wins &= item.logits > best
            best[wins] = np.maximum(item.logits[wins], np.finfo(np.float16).tiny)
        else:
            mine, theirs = item.object + 1, self._order[under]
            later = self._overlap == "overwrite"
            wins &= (theirs <= mine) if later else (theirs == 0) | (theirs >= mine)
        under[wins] = self._ids[item.object]
