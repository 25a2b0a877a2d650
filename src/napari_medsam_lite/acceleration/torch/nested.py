"""Windows without padding as nested tensors, exact.

A window at the right or bottom edge has fewer tokens than the others. Published, it is filled up
with zero tokens that take part as keys; leaving them out changes the answer. In the folded form
their keys and values are zero, so their share of the softmax is the sum of exp(bias) over them: one
virtual token with zero key and value and the log of that sum as its bias stands for all of them.

Torch's attention on nested tensors takes no bias, so it travels inside queries and keys: query i
gets row i of the bias beside its channels, key j gets the j-th unit vector, and their product adds
the bias (i, j).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_medsam_lite.acceleration.torch.folded.encoder import (
    FoldedViTBlock,
    FoldedWindowAttention,
)
from napari_medsam_lite.acceleration.torch.folded.network import FoldedMedSAM


def nested_windows(network: FoldedMedSAM) -> FoldedMedSAM:
    """The network with nested windows in every attention layer of the encoder (in place)."""
    for block in network.encoder.modules():
        if isinstance(block, FoldedViTBlock):
            block.attn = NestedWindowAttention(block.attn)  # type: ignore[assignment]
    return network


@dataclass(frozen=True)
class Group:
    """The windows of one shape in an image, full or cut by the edge.

    `tokens` (windows, T) are their pixels in an image of H x W in a row; `columns` (T,) are the
    places of these tokens in a full window; `virtual` says whether padded positions were left out.
    """

    tokens: Tensor
    columns: Tensor
    virtual: bool


class NestedWindowAttention(nn.Module):
    """`FoldedWindowAttention` whose windows hold real tokens alone."""

    def __init__(self, source: FoldedWindowAttention) -> None:
        super().__init__()
        self.heads, self.width, self.window = source.heads, source.width, source.window
        self.qkv, self.proj, self.eps = source.qkv, source.proj, source.eps
        self.bias = source.bias[:, 0]
        self._ready: dict[tuple[int, int, torch.device], list[Group]] = {}

    def forward(self, tokens: Tensor, h: int, w: int) -> Tensor:
        """(B h w, C) to the same shape."""
        c = tokens.shape[-1]
        qkv = self.qkv(F.layer_norm(tokens, (c,), eps=self.eps)).view(
            -1, h * w, 3, self.heads, self.width
        )
        b, groups = len(qkv), self._groups(h, w, tokens.device)
        mixed = self._attend([self._stretch(qkv, group) for group in groups])
        out = torch.empty(b, h * w, c, dtype=tokens.dtype, device=tokens.device)
        start = 0
        for group in groups:
            count = b * group.tokens.numel()
            out[:, group.tokens.flatten()] = mixed[start : start + count].view(b, -1, c)
            start += count
        y: Tensor = self.proj(out.flatten(0, 1))
        return y

    def _stretch(self, qkv: Tensor, group: Group) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values (windows, tokens, heads, channels) with the bias inside."""
        q, k, v = qkv[:, group.tokens].flatten(0, 1).unbind(2)
        rows = self._bias_rows(group)
        tokens, size = rows.shape[0], rows.shape[-1]
        q = torch.cat([q * self.width**-0.5, rows.expand(len(q), -1, -1, -1)], dim=-1)
        if group.virtual:
            k, v = (F.pad(part, (0, 0, 0, 0, 0, 1)) for part in (k, v))
        unit = torch.eye(size, dtype=q.dtype, device=q.device)[: tokens + group.virtual, None]
        k = torch.cat([k, unit.expand(len(k), -1, self.heads, -1)], dim=-1)
        return q, k, v

    def _bias_rows(self, group: Group) -> Tensor:
        """(tokens, heads, window^2 + 1): each token's bias for its window's keys, then zeros."""
        own = self.bias[:, group.columns]
        rows = own[:, :, group.columns]
        if group.virtual:
            left_out = torch.ones(own.shape[-1], dtype=torch.bool, device=own.device)
            left_out[group.columns] = False
            rows = torch.cat([rows, own[:, :, left_out].logsumexp(-1, keepdim=True)], dim=-1)
        return F.pad(rows, (0, self.window**2 + 1 - rows.shape[-1])).transpose(0, 1)

    def _attend(self, groups: list[tuple[Tensor, Tensor, Tensor]]) -> Tensor:
        """(all tokens, C) of the groups one after the other."""
        q, k, v = (self._nest(parts) for parts in zip(*groups, strict=True))
        with warnings.catch_warnings():
            # Torch says at the first nested tensor of a process that they are a prototype.
            warnings.filterwarnings("ignore", "The PyTorch API of nested tensors")
            mixed: Tensor = F.scaled_dot_product_attention(q, k, v, scale=1.0)
        return mixed.transpose(1, 2).values().flatten(1)

    def _nest(self, parts: tuple[Tensor, ...]) -> Tensor:
        """(windows, tokens, heads, D) of each group as one nested (windows, heads, tokens*, D)."""
        lengths = torch.cat([torch.full((len(part),), part.shape[1]) for part in parts])
        offsets = F.pad(lengths.cumsum(0), (1, 0)).to(parts[0].device)
        values = torch.cat([part.flatten(0, 1) for part in parts])
        nested: Tensor = torch.nested.nested_tensor_from_jagged(values, offsets)
        return nested.transpose(1, 2)

    def _groups(self, h: int, w: int, device: torch.device) -> list[Group]:
        """The windows of an image of h x w, by shape."""
        key = h, w, device
        if key not in self._ready:
            side = self.window
            pixels = torch.arange(h * w, device=device).view(h, w)
            cuts = [[(0, n - n % side, side), (n - n % side, n, n % side)] for n in (h, w)]
            self._ready[key] = [
                self._group(pixels[top:bottom, left:right], rows, columns)
                for (top, bottom, rows), (left, right, columns) in product(*cuts)
                if top < bottom and left < right
            ]
        return self._ready[key]

    def _group(self, pixels: Tensor, rows: int, columns: int) -> Group:
        """The windows of rows x columns tokens that `pixels` (H', W') fall into."""
        tokens = pixels.unfold(0, rows, rows).unfold(1, columns, columns).flatten(2).flatten(0, 1)
        places = torch.arange(self.window**2, device=pixels.device).view(self.window, -1)
        cut = rows < self.window or columns < self.window
        return Group(tokens, places[:rows, :columns].flatten(), cut)
