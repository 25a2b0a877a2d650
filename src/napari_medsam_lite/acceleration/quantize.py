"""Fewer bits and fewer weights: each function takes a network and gives it changed (in place).

Only the encoder is changed: it has most of the work, and the decoder's few tokens decide where the
mask ends.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_medsam_lite.acceleration.lean import LeanMedSAM

GROUP, KEPT = 4, 2


def int8_weight_only(network: LeanMedSAM) -> LeanMedSAM:
    """Linear weights in 8 bits, one scale a row; the arithmetic stays float."""
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    quantize_(network.encoder, Int8WeightOnlyConfig())
    return network


def int8_dynamic(network: LeanMedSAM) -> LeanMedSAM:
    """Linear weights and activations in 8 bits; the activations' scale is found for each token."""
    from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_

    quantize_(network.encoder, Int8DynamicActivationInt8WeightConfig())
    return network


def sparse_2_4(network: LeanMedSAM, frames: Tensor, dtype: torch.dtype) -> LeanMedSAM:
    """Two of four linear weights, in the packed form of NVIDIA's sparse tensor cores.

    Parameters
    ----------
    network : LeanMedSAM
        On a CUDA device.
    frames : Tensor
        (B, 3, 256, 256) float32 images to calibrate on.
    dtype : torch.dtype
        The two-byte float that the sparse kernels take.
    """
    prune_2_4(network, frames)
    network.in_type(dtype)
    for layer in linear_layers(network.encoder):
        packed = torch.sparse.to_sparse_semi_structured(layer.weight.detach())
        layer.weight = nn.Parameter(packed, requires_grad=False)
    return network


def prune_2_4(network: LeanMedSAM, frames: Tensor) -> LeanMedSAM:
    """Zero two of every four linear weights in a row, those that matter least on `frames`.

    A weight matters by its size times the norm of its input (Wanda, Sun et al., ICLR 2024): plain
    magnitude takes weights whose inputs are large.
    """
    norms = input_norms(network, frames)
    for layer in linear_layers(network.encoder):
        scores = layer.weight.abs() * norms[layer]
        scores = scores.view(len(scores), -1, GROUP)
        kept = scores.argsort(dim=-1, descending=True)[..., :KEPT]
        mask = torch.zeros_like(scores, dtype=torch.bool).scatter_(-1, kept, True)
        layer.weight.mul_(mask.flatten(1))
    return network


@torch.no_grad()
def input_norms(network: LeanMedSAM, frames: Tensor) -> dict[nn.Linear, Tensor]:
    """(C,) root of the summed squares of each linear layer's inputs over `frames`."""
    sums = {layer: torch.zeros_like(layer.weight[0]) for layer in linear_layers(network.encoder)}

    def add(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(layer, nn.Linear)
        sums[layer] += inputs[0].square().flatten(0, -2).sum(0)

    hooks = [layer.register_forward_pre_hook(add) for layer in sums]
    for frame in torch.split(frames, 1):
        network.encode(frame)
    for hook in hooks:
        hook.remove()
    return {layer: total.sqrt() for layer, total in sums.items()}


def linear_layers(module: nn.Module) -> list[nn.Linear]:
    """The linear layers in `module`."""
    return [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
