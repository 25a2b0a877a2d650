"""The seam between the engine and the network: encode images, decode boxes.

No torch here: an OpenVINO preset starts without it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.acceleration.presets import Preset
from napari_medsam_lite.model.weights import Checkpoint

Embedding = Any
"""What a backend keeps of one slice, in its own type; it has `nbytes`."""

Progress = Callable[[str], None]
"""Told what takes long at loading, for example ``"compiling, once"``."""


def silent(_: str) -> None:
    """A `Progress` that tells nobody."""


class Backend(Protocol):
    """A network on a device, for frames of any side S in `core.frame.SIDES`.

    An embedding knows its side by its shape: it has (S / 4)^2 pixels.
    """

    preset: Preset
    device: str
    """In words."""
    target: str
    """The device as `core.settings.Settings` names it, after "auto" was decided."""
    checkpoint: Checkpoint

    def prepare(self, side: int, progress: Progress = silent) -> None:
        """Make the network ready for frames of `side` now; the first use would do so, in silence.

        `progress` is told what takes long.

        Raises
        ------
        BackendUnavailableError, CheckpointError
            Each with the reason in one sentence.
        """
        ...

    def encode_images(self, frames: NDArray[np.float32]) -> list[Embedding]:
        """(B, 3, S, S) float32 in [0, 1] to B embeddings."""
        ...

    def decode_boxes(
        self, embeddings: Sequence[Embedding], boxes: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """N embeddings (one a box; the same object may appear often) and (N, 4) XYXY boxes.

        All embeddings are of one side S, and boxes are in pixels of that frame. Returns (N, S, S)
        float32 logits and (N,) predicted IoU.
        """
        ...

    def interrupt(self) -> None:
        """Make the encoding in flight raise `core.errors.Interrupted`, where the runtime can.

        The one method that another thread may call.
        """
        ...

    def free_memory(self) -> int:
        """Bytes that are free where embeddings are: on the GPU, or in the computer."""
        ...

    def embedding_to_array(self, embedding: Embedding) -> NDArray[np.float16]:
        """What can be stored of an embedding, in half precision: its values are of order one."""
        ...

    def embedding_from_array(self, array: NDArray[np.float16]) -> Embedding:
        """The embedding again, from the array of a backend of the same preset."""
        ...
