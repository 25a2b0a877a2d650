"""How many voxels each label has on each slice, kept up to date slice by slice."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from napari_medsam_lite.engine.steps import LabelArray, planes_across


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
            self._counts[index] = count(self._planes[index])

    def slices(self, number: int) -> int:
        """How many slices hold the label."""
        return sum(number in counts for counts in self._counts)

    def voxels(self, number: int) -> int:
        """How many voxels bear the label."""
        return sum(counts.get(number, 0) for counts in self._counts)


def count(plane: LabelArray) -> dict[int, int]:
    """Label -> how many voxels of a slice (H, W) bear it; labels are above 0."""
    if plane.dtype in (np.uint8, np.uint16):
        counts = np.bincount(plane.ravel())
        numbers = np.flatnonzero(counts)
        counts = counts[numbers]
    else:  # labels of others may be huge, for which bincount would take memory
        numbers, counts = np.unique(plane, return_counts=True)
    return {int(n): int(c) for n, c in zip(numbers, counts, strict=True) if n > 0}


def numbers_in(labels: LabelArray) -> set[int]:
    """The labels of a whole (..., H, W) array, slice by slice: five times as fast as at once."""
    planes = labels.reshape(-1, *labels.shape[-2:])
    return {number for plane in planes for number in count(plane)}
