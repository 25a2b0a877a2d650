"""What an embedding is known by."""

from __future__ import annotations

from dataclasses import dataclass

from napari_medsam_lite.core.window import Limits


@dataclass(frozen=True)
class EmbeddingKey:
    """What an embedding depends on."""

    volume: str
    axis: int
    index: int
    limits: Limits
    backend: str
