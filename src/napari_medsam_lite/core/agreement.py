"""How well two masks or two label arrays agree."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray


def dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Dice coefficient 2|A and B| / (|A| + |B|) of two masks of one shape; 1 if both are empty."""
    size = np.count_nonzero(a) + np.count_nonzero(b)
    return 2 * np.count_nonzero(a & b) / size if size else 1.0


def dice_by_label(
    labels: NDArray[Any], truth: NDArray[Any], ids: Iterable[int] | None = None
) -> dict[int, float]:
    """Dice of each id (default: every label of `truth`) between two label arrays of one shape."""
    if ids is None:
        ids = (int(i) for i in np.unique(truth) if i > 0)
    return {i: dice(labels == i, truth == i) for i in ids}
