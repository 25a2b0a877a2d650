"""What an embedding is known by."""

from __future__ import annotations

from dataclasses import dataclass

from napari_medsam_lite.core.frame import ModelFrame
from napari_medsam_lite.core.window import Limits


@dataclass(frozen=True)
class EmbeddingKey:
    """All that an embedding depends on; equal keys mean equal embeddings.

    Attributes
    ----------
    voxels : str
        Hash of the slice's voxels. By content and not by place or name, so that nothing of one
        image can answer for another, nor what a slice held before it was edited.
    limits, frame
        What turns the voxels into the encoder's input.
    backend : str
        Preset, device and checkpoint.
    """

    voxels: str
    limits: Limits
    frame: ModelFrame
    backend: str
