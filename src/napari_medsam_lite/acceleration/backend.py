"""The seam between the engine and the network: encode images, decode boxes.

No torch here: an OpenVINO preset starts without it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.acceleration.availability import unavailable
from napari_medsam_lite.acceleration.presets import AUTO, Preset, find_preset
from napari_medsam_lite.core.errors import BackendUnavailableError
from napari_medsam_lite.model.weights import Checkpoint

Embedding = Any
"""What a backend keeps of one slice, in its own type; it has `nbytes`."""

Progress = Callable[[str], None]
"""Told what takes long at loading, for example ``"compiling, once"``."""


class Backend(Protocol):
    """A network made ready on a device."""

    preset: Preset
    device: str
    checkpoint: Checkpoint

    def encode_images(self, frames: NDArray[np.float32]) -> list[Embedding]:
        """(B, 3, 256, 256) float32 in [0, 1] to B embeddings."""
        ...

    def decode_boxes(
        self, embeddings: Sequence[Embedding], boxes: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """N embeddings (one a box; the same object may appear often) and (N, 4) XYXY boxes.

        Returns (N, 256, 256) float32 logits and (N,) predicted IoU.
        """
        ...

    def interrupt(self) -> None:
        """Make the encoding in flight raise `core.errors.Interrupted`, where the runtime can.

        The one method that another thread may call.
        """
        ...

    def embedding_to_array(self, embedding: Embedding) -> NDArray[np.float16]:
        """What can be stored of an embedding, in half precision: its values are of order one."""
        ...

    def embedding_from_array(self, array: NDArray[np.float16]) -> Embedding:
        """The embedding again, from the array of a backend of the same preset."""
        ...


def load_backend(
    preset: str, device: str, checkpoint: Checkpoint, progress: Progress = lambda _: None
) -> Backend:
    """The backend of `preset` on `device` with the weights of `checkpoint`.

    ``"auto"`` becomes a preset by name: `Backend.preset` says which one is in use.

    Raises
    ------
    BackendUnavailableError, CheckpointError, DeviceMemoryError
        Each with the reason in one sentence.
    """
    if preset == AUTO:
        from napari_medsam_lite.acceleration.autotune import best_preset

        preset = best_preset(checkpoint, device)
    row = find_preset(preset)
    reason = unavailable(row.name, device)
    if reason is not None:
        raise BackendUnavailableError(reason)
    if row.runtime == "openvino":
        from napari_medsam_lite.acceleration.openvino import OpenVinoBackend

        return OpenVinoBackend(row, device, checkpoint, progress)
    from napari_medsam_lite.acceleration.torch_backend import TorchBackend

    return TorchBackend(row, device, checkpoint, progress)
