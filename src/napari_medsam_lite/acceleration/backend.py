"""The seam between the engine and the network: encode images, decode boxes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from napari_medsam_lite.acceleration.attention import sdpa, use_attention
from napari_medsam_lite.acceleration.availability import unavailable
from napari_medsam_lite.acceleration.device import device_label, resolve_device
from napari_medsam_lite.acceleration.presets import AUTO, Preset, find_preset
from napari_medsam_lite.core.errors import BackendUnavailableError, DeviceMemoryError, MedSAMLiteError
from napari_medsam_lite.model.build import load_lite_medsam
from napari_medsam_lite.model.layers import manual_attention
from napari_medsam_lite.model.lite_medsam import LiteMedSAM
from napari_medsam_lite.model.weights import Checkpoint

Embedding = Any
"""What a backend keeps of one slice, (256, 64, 64) in its own type; it has `nbytes`."""

F = TypeVar("F", bound=Callable[..., Any])


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


def load_backend(preset: str, device: str, checkpoint: Checkpoint) -> Backend:
    """The backend of `preset` on `device` with the weights of `checkpoint`.

    Raises
    ------
    BackendUnavailableError, CheckpointError, DeviceMemoryError
        Each with the reason in one sentence.
    """
    row = find_preset("sdpa" if preset == AUTO else preset)
    reason = unavailable(row.name, device)
    if reason is None and row.name not in ("eager", "sdpa"):
        reason = f"The preset {row.name} is not built yet."
    if reason is not None:
        raise BackendUnavailableError(reason)
    return TorchBackend(row, resolve_device(device), checkpoint)


def plain_errors(function: F) -> F:
    """Let torch's errors leave `function` as this package's own.

    napari's generator workers swallow RuntimeError, and out-of-memory is one.
    """

    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except (torch.OutOfMemoryError, MemoryError) as error:
            raise _out_of_memory() from error
        except RuntimeError as error:
            if "not enough memory" in str(error) or "out of memory" in str(error):
                raise _out_of_memory() from error
            raise MedSAMLiteError(f"The network failed: {str(error).splitlines()[0]}") from error

    return wrapper  # type: ignore[return-value]


def _out_of_memory() -> DeviceMemoryError:
    return DeviceMemoryError(
        "The device ran out of memory; close other programs, or choose the device cpu."
    )


class TorchBackend:
    """LiteMedSAM in torch."""

    @plain_errors
    def __init__(self, preset: Preset, device: torch.device, checkpoint: Checkpoint) -> None:
        self.preset = preset
        self.checkpoint = checkpoint
        self.device = device_label(device)
        self._device = device
        self._model = prepare(load_lite_medsam(checkpoint), preset).to(device)

    @plain_errors
    @torch.inference_mode()
    def encode_images(self, frames: NDArray[np.float32]) -> list[Embedding]:
        """See `Backend`."""
        images = torch.from_numpy(np.ascontiguousarray(frames)).to(self._device)
        return list(self._model.encode(images).unbind())

    @plain_errors
    @torch.inference_mode()
    def decode_boxes(
        self, embeddings: Sequence[Embedding], boxes: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See `Backend`."""
        prompts = torch.from_numpy(np.ascontiguousarray(boxes, np.float32)).to(self._device)
        logits, iou = self._model.decode(torch.stack(list(embeddings)), prompts)
        return logits[:, 0].float().cpu().numpy(), iou[:, 0].float().cpu().numpy()


def prepare(model: LiteMedSAM, preset: Preset) -> LiteMedSAM:
    """The model as `preset` wants it."""
    attend = {"manual": manual_attention, "sdpa": sdpa}[preset.attention]
    return use_attention(model, attend)
