"""Fewer bits and fewer weights: each function takes a network and gives it changed (in place).

Only the encoder is changed: it has most of the work, and the decoder's few tokens decide where the
mask ends.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_medsam_lite.acceleration.torch.folded.network import FoldedMedSAM

GROUP, KEPT = 4, 2


def int8_weight_only(network: FoldedMedSAM) -> FoldedMedSAM:
    """Linear weights in 8 bits, one scale a row; the arithmetic stays float."""
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    quantize_(network.encoder, Int8WeightOnlyConfig())
    return network


def int8_dynamic(network: FoldedMedSAM) -> FoldedMedSAM:
    """Linear weights and activations in 8 bits; the activations' scale is found for each token."""
    from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_

    quantize_(network.encoder, Int8DynamicActivationInt8WeightConfig())
    return network


def sparse_2_4(network: FoldedMedSAM, frames: Tensor, dtype: torch.dtype) -> FoldedMedSAM:
    """Two of four linear weights, in the packed form of NVIDIA's sparse tensor cores.

    Parameters
    ----------
    network : FoldedMedSAM
        On a CUDA device.
    frames : Tensor
        (B, 3, S, S) float32 images to calibrate on.
    dtype : torch.dtype
        The two-byte float that the sparse kernels take.
    """
    prune_2_4(network, frames)
    network.in_type(dtype)
    for layer in linear_layers(network.encoder):
        packed = torch.sparse.to_sparse_semi_structured(layer.weight.detach())
        layer.weight = nn.Parameter(packed, requires_grad=False)
    return network


def prune_2_4(network: FoldedMedSAM, frames: Tensor) -> FoldedMedSAM:
    """Zero two of every four linear weights in a row, those that matter least on `frames`.

    A layer's answer on `frames` decides which weights go, and the ones behind them are changed to
    make up for the loss (SparseGPT, Frantar and Alistarh, ICML 2023). Scores alone, by weight or by
    weight times input, lose far more (docs/acceleration.md).
    """
    for layer, moments in input_moments(network, frames).items():
        layer.weight.copy_(sparse_weight(layer.weight, moments))
    return network


def sparse_weight(weight: Tensor, moments: Tensor) -> Tensor:
    """(rows, C) weights with two of four left, for inputs with second moments (C, C)."""
    weight = weight.clone()
    damping = 0.01 * moments.diagonal().mean() * torch.eye(len(moments), device=weight.device)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(moments + damping))
    upper = torch.linalg.cholesky(inverse, upper=True)
    for start in range(0, weight.shape[1], GROUP):
        group = slice(start, start + GROUP)
        losses = weight[:, group].square() / upper.diagonal()[group].square()
        lost = losses.argsort(dim=1)[:, : GROUP - KEPT] + start
        for column in range(start, start + GROUP):
            gone = (lost == column).any(dim=1)
            error = torch.where(gone, weight[:, column] / upper[column, column], 0)
            weight[:, column:] -= error[:, None] * upper[column, column:]
            weight[gone, column] = 0
    return weight


@torch.no_grad()
def input_moments(network: FoldedMedSAM, frames: Tensor) -> dict[nn.Linear, Tensor]:
    """(C, C) mean products of each linear layer's inputs over `frames`."""
    sums: dict[nn.Linear, Tensor] = {}

    def add(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(layer, nn.Linear)
        tokens = inputs[0].flatten(0, -2)
        sums[layer] = sums.get(layer, 0) + tokens.t() @ tokens / len(tokens)

    hooks = [layer.register_forward_pre_hook(add) for layer in linear_layers(network.encoder)]
    for frame in torch.split(frames, 1):
        network.encode(frame)
    for hook in hooks:
        hook.remove()
    return {layer: total / len(frames) for layer, total in sums.items()}


def linear_layers(module: nn.Module) -> list[nn.Linear]:
    """The linear layers in `module`."""
    return [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
