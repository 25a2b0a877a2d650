"""One case to segment: an image with the prompts that came with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.volume import Volume


@dataclass(frozen=True, eq=False)
class Case:
    """A volume, its boxes and its truth, as far as the file carries them.

    Parameters
    ----------
    volume : Volume
        The image.
    boxes : list of Box3D
        Inclusive voxel corners, one an object; empty if the file has none.
    gts : ndarray, optional
        (Z, Y, X) integers, 0 for background; None if the file has no truth.
    """

    volume: Volume
    boxes: list[Box3D] = field(default_factory=list)
    gts: NDArray[Any] | None = None
