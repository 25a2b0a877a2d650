"""From a preset's row to a network that is ready to run: each field is one step, model -> model."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from napari_medsam_lite.acceleration.ct_like import ct_like_frames
from napari_medsam_lite.acceleration.presets import Preset
from napari_medsam_lite.acceleration.torch.attention import sdpa, use_attention
from napari_medsam_lite.acceleration.torch.compiling import CompiledMedSAM
from napari_medsam_lite.acceleration.torch.folded.network import FoldedMedSAM
from napari_medsam_lite.acceleration.torch.nested import nested_windows
from napari_medsam_lite.acceleration.torch.quantize import (
    int8_dynamic,
    int8_weight_only,
    sparse_2_4,
)
from napari_medsam_lite.model.layers import manual_attention
from napari_medsam_lite.model.lite_medsam import LiteMedSAM


class TorchNetwork(Protocol):
    """What a torch backend runs: `LiteMedSAM`, or the same numbers in another form."""

    def encode(self, images: Tensor) -> Tensor:
        """(B, 3, S, S) float32 images to B embeddings."""
        ...

    def decode(self, embeddings: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """N embeddings and (N, 4) float32 boxes to N logits (S, S) and predicted IoU."""
        ...


def apply_preset(model: LiteMedSAM, preset: Preset, device: torch.device) -> TorchNetwork:
    """The network as `preset` wants it, on `device`; `model` should not be used any more."""
    if not preset.fused:
        attend = manual_attention if preset.attention == "manual" else sdpa
        return use_attention(model, attend).to(device)
    network = FoldedMedSAM(model, sdpa).to(device)
    if preset.attention == "nested":
        network = nested_windows(network)
    network = _in_precision(network, preset, device)
    if not preset.compiles:
        return network
    return CompiledMedSAM(network, device, preset.max_autotune)


def _in_precision(network: FoldedMedSAM, preset: Preset, device: torch.device) -> FoldedMedSAM:
    match preset.precision:
        case "half":
            return network.in_type(half_type(device))
        case "int8-weight-only":
            return int8_weight_only(network)
        case "int8-dynamic":
            return int8_dynamic(network)
        case "sparse-2-4":
            frames = torch.from_numpy(ct_like_frames()).to(device)
            return sparse_2_4(network, frames, half_type(device))
        case _:
            return network


def half_type(device: torch.device) -> torch.dtype:
    """bfloat16, or float16 on GPUs without it."""
    if device.type == "mps" or (
        device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False)
    ):
        return torch.float16
    return torch.bfloat16
