"""A word when what is boxed cannot be seen in the window that was chosen."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.window import WINDOWS, CTWindow, Limits

NEARLY_ALL = 0.8
"""Measured in the abdomen window on five CTs: lungs have 0.88 (median) of the middle of their boxes
outside, bones and other organs under 0.8, bowel full of gas sometimes more."""


def outside_window(boxed: NDArray[Any], limits: Limits) -> str | None:
    """One sentence if the network will see next to nothing of what is boxed; else None.

    Parameters
    ----------
    boxed : ndarray
        (H, W) voxels inside a box on one slice, as stored.
    limits : Limits
        Of the window that is used.
    """
    height, width = boxed.shape
    # At its rim a box holds what is round the object.
    middle = boxed[height // 4 : height - height // 4, width // 4 : width - width // 4]
    below, above = float(np.mean(middle < limits.low)), float(np.mean(middle > limits.high))
    if below + above < NEARLY_ALL:
        return None
    colour = "black" if below > above else "white"
    shows = _showing(middle)
    advice = f"choose {shows}" if shows else "choose another window"
    return (
        f"In this window ({limits.low:g} to {limits.high:g}) most of what is boxed is plain "
        f"{colour}, so the network cannot see it; {advice}."
    )


def _showing(voxels: NDArray[Any]) -> str | None:
    """The first CT window that shows nearly all of `voxels`, in words."""
    for name, window in WINDOWS.items():
        if not isinstance(window, CTWindow):
            continue
        low, high = window.level - window.width / 2, window.level + window.width / 2
        if np.mean((low <= voxels) & (voxels <= high)) >= NEARLY_ALL:
            return f"{name} (level {window.level:g}, width {window.width:g})"
    return None
