"""What came of segmenting: labels, and what is known of each mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.segmentation import Segmentation, SliceRecord, Source


@dataclass(frozen=True, eq=False)
class Segmented:
    """Labels of segments.

    Attributes
    ----------
    labels : ndarray
        (Z, Y, X) uint8, or uint16 where a number needs it; 0 is background.
    segmentation : Segmentation
        The segments with their numbers, and a record for each of their masks.
    """

    labels: NDArray[np.unsignedinteger[Any]]
    segmentation: Segmentation

    @property
    def scores(self) -> dict[int, dict[int, float]]:
        """Number -> slice -> the network's own estimate of the IoU."""
        return {number: {r.index: r.score for r in rows} for number, rows in self._rows()}

    @property
    def sources(self) -> dict[int, dict[int, Source]]:
        """Number -> slice -> where the mask comes from."""
        return {number: {r.index: r.source for r in rows} for number, rows in self._rows()}

    def _rows(self) -> list[tuple[int, list[SliceRecord]]]:
        return [
            (each.number, [record for _, record in sorted(each.records.items())])
            for each in self.segmentation.segments
        ]
