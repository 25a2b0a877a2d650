"""As the published scripts do it, for parity: 3D boxes, and labels as prompts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.boxes import Box2D, Box3D, tight_box
from napari_medsam_lite.core.frame import ModelFrame, frame_xyxy, grow_in_frame
from napari_medsam_lite.engine.propagation.outwards import propagate_outwards
from napari_medsam_lite.engine.propagation.slice_mask import Decode, SliceMask

LABEL_BOX_MARGIN = 5


def propagate(
    boxes: Sequence[Box3D], axis: int, frame: ModelFrame, decode: Decode
) -> Iterator[SliceMask]:
    """Masks from the key slices outwards; after an empty one, the object's first box again."""
    return propagate_outwards(boxes, axis, frame, decode, lambda first_box: first_box)


def boxes_of_labels(
    labels: NDArray[np.integer], frame: ModelFrame
) -> list[tuple[int, NDArray[np.float32]]]:
    """Label ids of a (H, W) slice and their (4,) boxes in the frame, grown by 5 pixels.

    As the published FLARE protocol does: labels are resized by taking the nearest voxel (OpenCV's
    ``INTER_NEAREST``), and those that vanish get no box.
    """
    h, w = frame.inner
    rows = np.minimum((np.arange(h) * (frame.height / h)).astype(int), frame.height - 1)
    columns = np.minimum((np.arange(w) * (frame.width / w)).astype(int), frame.width - 1)
    resized = labels[np.ix_(rows, columns)]
    found = []
    for label in np.unique(resized[resized > 0]):
        box = tight_box(resized == label)
        assert isinstance(box, Box2D)
        found.append((int(label), frame_xyxy(grow_in_frame(box, LABEL_BOX_MARGIN))))
    return found
