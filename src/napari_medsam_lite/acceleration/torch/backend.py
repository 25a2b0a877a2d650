"""LiteMedSAM in torch, prepared as its preset says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from napari_medsam_lite.acceleration.backend import Embedding, Progress, silent
from napari_medsam_lite.acceleration.presets import Preset
from napari_medsam_lite.acceleration.torch.allocator import keep_freed_memory
from napari_medsam_lite.acceleration.torch.apply_preset import apply_preset, half_type
from napari_medsam_lite.acceleration.torch.compiling import CompiledMedSAM
from napari_medsam_lite.acceleration.torch.device import (
    available_devices,
    device_label,
    free_memory,
    resolve_device,
)
from napari_medsam_lite.core.errors import DeviceMemoryError, MedSAMLiteError
from napari_medsam_lite.core.settings import AUTO
from napari_medsam_lite.model.build import load_lite_medsam
from napari_medsam_lite.model.weights import Checkpoint

F = TypeVar("F", bound=Callable[..., Any])


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
    """See `backend.Backend`. Embeddings are tensors on the device."""

    @plain_errors
    def __init__(self, preset: Preset, device: str, checkpoint: Checkpoint) -> None:
        self.preset = preset
        self.checkpoint = checkpoint
        if device == AUTO and preset.devices and "mps" not in preset.devices:
            device = next(kind for kind in preset.devices if kind in available_devices())
        self._device = resolve_device(device)
        self.device, self.target = device_label(self._device), str(self._device)
        if self._device.type == "cpu":
            keep_freed_memory()
        self._network = apply_preset(load_lite_medsam(checkpoint), preset, self._device)

    @plain_errors
    def prepare(self, side: int, progress: Progress = silent) -> None:
        """See `Backend`; only what torch.compile builds is made for one side."""
        if isinstance(self._network, CompiledMedSAM):
            self._network.prepare(side, progress)

    @plain_errors
    @torch.no_grad()
    def encode_images(self, frames: NDArray[np.float32]) -> list[Embedding]:
        """See `Backend`."""
        images = torch.from_numpy(np.ascontiguousarray(frames, np.float32)).to(self._device)
        batch = self._network.encode(images).unbind()
        # Views of the batch: any one that is kept would keep the memory of all.
        embeddings = [e.clone() if len(batch) > 1 else e for e in batch]
        if self._device.type == "cuda":
            # Its work is only queued by now, and would count as the decoder's time.
            torch.cuda.synchronize(self._device)
        return embeddings

    @plain_errors
    @torch.no_grad()
    def decode_boxes(
        self, embeddings: Sequence[Embedding], boxes: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See `Backend`."""
        prompts = torch.from_numpy(np.ascontiguousarray(boxes, np.float32)).to(self._device)
        logits, iou = self._network.decode(torch.stack(list(embeddings)), prompts)
        return logits.flatten(0, -3).float().cpu().numpy(), iou.flatten().float().cpu().numpy()

    def interrupt(self) -> None:
        """See `Backend`; torch always finishes what it has begun."""

    @plain_errors
    def free_memory(self) -> int:
        """See `Backend`."""
        return free_memory(self._device)

    @plain_errors
    def embedding_to_array(self, embedding: Embedding) -> NDArray[np.float16]:
        """See `Backend`."""
        array: NDArray[np.float16] = embedding.to(torch.float16).cpu().numpy()
        return array

    @plain_errors
    def embedding_from_array(self, array: NDArray[np.float16]) -> Embedding:
        """See `Backend`; in the type that the preset decodes."""
        half = self.preset.precision in ("half", "sparse-2-4")
        dtype = half_type(self._device) if half else torch.float32
        return torch.tensor(array, dtype=dtype, device=self._device)
