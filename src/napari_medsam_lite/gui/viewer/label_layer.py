"""The Labels layer that masks of an image go to."""

from __future__ import annotations

import numpy as np
from napari.layers import Image, Labels

from napari_medsam_lite.gui.viewer.geometry import fits, place_of


def new_labels_layer(image: Image) -> Labels:
    """An empty Labels layer in the place of `image`.

    The metadata come along: a reader's exact geometry is in there, and goes into saved labels.
    """
    return Labels(
        np.zeros(image.data.shape[: image.ndim], np.uint8),
        name=f"{image.name} labels",
        metadata=dict(image.metadata),
        **place_of(image),
    )


def can_take_masks(labels: Labels, image: Image) -> bool:
    """Whether masks of `image` can be written into `labels` in place, voxel on voxel."""
    return (
        isinstance(labels.data, np.ndarray)
        and labels.data.flags.writeable
        and labels.data.shape == image.data.shape[: image.ndim]
        and fits(labels, image)
    )


def highest_label(layer: Labels) -> int:
    """The highest label in use in `layer`; 0 if it is empty."""
    return int(np.max(layer.data, initial=0))
