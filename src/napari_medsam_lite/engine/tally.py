"""How many voxels each label has on each slice, kept up to date slice by slice."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from napari_medsam_lite.engine.painting import LabelArray, planes_across


class Tally:
    """Counts of a label array, across its first axis.

    Parameters
    ----------
    labels : ndarray
        (Z, Y, X) whole numbers, or (Y, X) as its own only slice; read now and at each `recount`.
    """

    def __init__(self, labels: LabelArray) -> None:
        self._planes = planes_across(labels, 0)
        self._counts: list[dict[int, int]] = [{} for _ in self._planes]
        self.recount(range(len(self._planes)))

    def recount(self, indices: Iterable[int]) -> None:
        """Count these slices anew."""
        for index in indices:
            counts = np.bincount(self._planes[index].ravel())
            present = np.flatnonzero(counts)
            self._counts[index] = {int(n): int(counts[n]) for n in present if n}

    def slices(self, number: int) -> int:
        """How many slices hold the label."""
        return sum(number in counts for counts in self._counts)

    def voxels(self, number: int) -> int:
        """How many voxels bear the label."""
        return sum(counts.get(number, 0) for counts in self._counts)
