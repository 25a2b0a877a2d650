"""The prompt encoder of Segment Anything (Kirillov et al., ICCV 2023), for boxes.

The parameters for points and masks belong to the checkpoint, so they are here; LiteMedSAM is
prompted with boxes alone. Positions are fractions of the frame's side, and nothing else in the
network knows where a pixel is: so it runs at any side.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from napari_medsam_lite.model.layers import LayerNorm2d


class RandomFourierEncoding(nn.Module):
    """Positions in [0, 1]^2 to sines and cosines of random frequencies (Tancik et al., 2020)."""

    def __init__(self, frequencies: int) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(2, frequencies))

    def forward(self, xy: Tensor) -> Tensor:
        """(..., 2) positions as x, y to (..., 2 * frequencies)."""
        assert isinstance(self.positional_encoding_gaussian_matrix, Tensor)
        phase = 2 * math.pi * ((2 * xy - 1) @ self.positional_encoding_gaussian_matrix)
        return torch.cat([phase.sin(), phase.cos()], dim=-1)


def box_corners(boxes: Tensor, side: int) -> Tensor:
    """(N, 4) boxes XYXY in pixels of a frame of `side` to (N, 2, 2) corners XY in [0, 1]."""
    return (boxes.view(-1, 2, 2) + 0.5) / side


class PromptEncoder(nn.Module):
    """Corners of boxes to prompt tokens, and the positions of the embedding's pixels.

    `grids` are the sides of the embeddings that it is asked for, in pixels.
    """

    def __init__(self, channels: int, grids: Iterable[int], mask_channels: int) -> None:
        super().__init__()
        self.grids = tuple(grids)
        self.pe_layer = RandomFourierEncoding(channels // 2)
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, channels) for _ in range(4))
        self.not_a_point_embed = nn.Embedding(1, channels)
        self.no_mask_embed = nn.Embedding(1, channels)
        quarter = mask_channels // 4
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, quarter, 2, 2),
            LayerNorm2d(quarter),
            nn.GELU(),
            nn.Conv2d(quarter, mask_channels, 2, 2),
            LayerNorm2d(mask_channels),
            nn.GELU(),
            nn.Conv2d(mask_channels, channels, 1),
        )
        for grid in self.grids:
            self.register_buffer(_name(grid), self._grid_encoding(grid), persistent=False)
        self.register_load_state_dict_post_hook(_refresh_dense_pe)  # type: ignore[no-untyped-call]

    def forward(self, corners: Tensor) -> Tensor:
        """(N, 2, 2) corners of boxes, XY in [0, 1], to (N, 2, C) tokens."""
        labels = torch.cat([self._corner(2), self._corner(3)])
        tokens: Tensor = self.pe_layer(corners) + labels
        return tokens

    def dense_pe(self, grid: int) -> Tensor:
        """(C, grid, grid): the encoding of each embedding pixel's centre."""
        return self.get_buffer(_name(grid))

    def _corner(self, number: int) -> Tensor:
        embedding = self.point_embeddings[number]
        assert isinstance(embedding, nn.Embedding)
        return embedding.weight

    def _grid_encoding(self, grid: int) -> Tensor:
        weight = self.pe_layer.positional_encoding_gaussian_matrix
        assert isinstance(weight, Tensor)
        centres = (torch.arange(grid, device=weight.device, dtype=weight.dtype) + 0.5) / grid
        y, x = torch.meshgrid(centres, centres, indexing="ij")
        encoding: Tensor = self.pe_layer(torch.stack([x, y], dim=-1))
        return encoding.permute(2, 0, 1)


def _name(grid: int) -> str:
    return f"dense_pe_{grid}"


def _refresh_dense_pe(module: Any, _: Any) -> None:
    with torch.no_grad():
        for grid in module.grids:
            setattr(module, _name(grid), module._grid_encoding(grid))
