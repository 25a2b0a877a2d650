"""A network that answers at once: all of the engine is real but the arithmetic."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_medsam_lite.acceleration.availability import unavailable
from napari_medsam_lite.acceleration.presets import find_preset
from napari_medsam_lite.core.errors import BackendUnavailableError, Interrupted
from napari_medsam_lite.engine import lazy_backend

FREE = 2**26
ENCODE_S = 0.004
BRIGHT = 0.45


class FakeBackend:
    """Takes the bright pixels of the ellipse in a box for the mask."""

    def __init__(self, preset: str, device: str, checkpoint: Any) -> None:
        self.preset, self.checkpoint = find_preset(preset), checkpoint
        self.device, self.target = "a fake CPU", "cpu" if device == "auto" else device
        self._stop = threading.Event()

    def prepare(self, side: int, progress: Any = None) -> None:
        """Nothing to do."""

    def encode_images(self, frames: Any) -> list[Any]:
        """A frame in half precision, after a moment that can be cut short."""
        found = []
        # Only what is in flight can be interrupted, as with the real ones.
        self._stop.clear()
        for frame in frames:
            if self._stop.wait(ENCODE_S):
                raise Interrupted("stopped")
            found.append(frame[0].astype(np.float16))
        return found

    def decode_boxes(self, embeddings: Sequence[Any], boxes: Any) -> tuple[Any, Any]:
        """Logits of +4 and -4, and the score 0.9."""
        side = embeddings[0].shape[0]
        y, x = np.mgrid[:side, :side]
        logits = np.full((len(boxes), side, side), -4, np.float32)
        for row, (frame, (x0, y0, x1, y1)) in enumerate(zip(embeddings, boxes, strict=True)):
            height, width = max((y1 - y0) / 2, 0.5), max((x1 - x0) / 2, 0.5)
            round_ = ((y - (y0 + y1) / 2) / height) ** 2 + ((x - (x0 + x1) / 2) / width) ** 2 <= 1
            logits[row][round_ & (frame > BRIGHT)] = 4
        return logits, np.full(len(boxes), 0.9, np.float32)

    def interrupt(self) -> None:
        """Cut the encoding in flight short."""
        self._stop.set()

    def free_memory(self) -> int:
        """So little that few embeddings are kept, and what else grows is seen."""
        return FREE

    def embedding_to_array(self, embedding: Any) -> Any:
        """It is one."""
        return embedding

    def embedding_from_array(self, array: Any) -> Any:
        """It is one."""
        return array


def use_fake_network() -> None:
    """Let the whole process answer by `FakeBackend`."""

    def load(preset: str, device: str, checkpoint: Any) -> FakeBackend:
        reason = unavailable(preset, device)
        if reason is not None:
            raise BackendUnavailableError(reason)
        return FakeBackend(preset, device, checkpoint)

    lazy_backend.load_backend = load
    lazy_backend.best_preset = lambda *_: "openvino"
