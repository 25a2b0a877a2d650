"""Between our places, RAS in the order (z, y, x), and those of DICOM and NRRD: LPS, (x, y, z)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_ORDER = [2, 1, 0, 3]
_TURN = np.diag([-1.0, -1.0, 1.0, 1.0])


def from_lps(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ours of a (4, 4) affine from index (x, y, z, 1) to LPS millimetres (x, y, z, 1)."""
    return (_TURN @ affine)[np.ix_(_ORDER, _ORDER)]


def to_lps(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of `from_lps`."""
    return _TURN @ affine[np.ix_(_ORDER, _ORDER)]
