"""Our way through a volume: an object ends where its mask does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.frame import ModelFrame
from napari_medsam_lite.engine.propagation.outwards import propagate_outwards
from napari_medsam_lite.engine.propagation.slice_mask import Decode, SliceMask


def propagate(
    boxes: Sequence[Box3D], axis: int, frame: ModelFrame, decode: Decode
) -> Iterator[SliceMask]:
    """Masks from the key slices outwards; an empty mask ends the object in that direction."""
    return propagate_outwards(boxes, axis, frame, decode, lambda _: None)
