"""The image encoder: TinyViT (Wu et al., ECCV 2022) as LiteMedSAM changed it.

Changes against the classification network: the patch embedding keeps the full resolution, the
last stage keeps the third one's resolution, and a SAM neck gives 256 channels. Windows that do not
divide the image are padded with zero tokens, and those tokens do take part as keys: the published
weights were trained with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_medsam_lite.model.layers import Attend, ConvNorm, LayerNorm2d, manual_attention


class PatchEmbed(nn.Module):
    """(B, 3, H, W) -> (B, C, H, W) by two pointwise convolutions."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.seq = nn.Sequential(
            ConvNorm(in_channels, channels // 2), nn.GELU(), ConvNorm(channels // 2, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Embed each pixel."""
        y: Tensor = self.seq(x)
        return y


class MBConv(nn.Module):
    """Inverted bottleneck with a shortcut: (B, C, H, W) -> the same shape."""

    def __init__(self, channels: int, expansion: int) -> None:
        super().__init__()
        hidden = channels * expansion
        self.conv1 = ConvNorm(channels, hidden)
        self.conv2 = ConvNorm(hidden, hidden, kernel=3, groups=hidden)
        self.conv3 = ConvNorm(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Expand, mix in space, project back, add."""
        y = F.gelu(self.conv1(x))
        y = F.gelu(self.conv2(y))
        return F.gelu(self.conv3(y) + x)


class PatchMerging(nn.Module):
    """Between stages: (B, C, H, W) -> (B, C', H / stride, W / stride)."""

    def __init__(self, channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(channels, out_channels)
        self.conv2 = ConvNorm(out_channels, out_channels, 3, stride, groups=out_channels)
        self.conv3 = ConvNorm(out_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Change channels and resolution."""
        y = F.gelu(self.conv1(x))
        y = F.gelu(self.conv2(y))
        z: Tensor = self.conv3(y)
        return z


class WindowAttention(nn.Module):
    """Attention among the tokens of one window, with a bias by distance (LeViT's attention bias).

    `attend` is the arithmetic of the attention itself; a preset may put another in its place.
    """

    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        index = offset_index(window)
        self.attention_biases = nn.Parameter(torch.zeros(heads, int(index.max()) + 1))
        self.register_buffer("bias_index", index, persistent=False)
        self.attend: Attend = manual_attention

    def bias(self) -> Tensor:
        """(heads, N, N) bias of each token for each other."""
        assert isinstance(self.bias_index, Tensor)
        return self.attention_biases[:, self.bias_index]

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, N, C) tokens to q, k, v, each (B, heads, N, C / heads)."""
        b, n, c = x.shape
        qkv = self.qkv(self.norm(x)).view(b, n, self.heads, 3 * c // self.heads)
        q, k, v = qkv.transpose(1, 2).chunk(3, dim=-1)
        return q, k, v

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, C) tokens of B windows to the same shape."""
        q, k, v = self.project(x)
        mixed = self.attend(q, k, v, self.bias())
        y: Tensor = self.proj(mixed.transpose(1, 2).reshape(x.shape))
        return y


def offset_index(window: int) -> Tensor:
    """(N, N) int64 for N = window^2: which bias belongs to a pair of tokens.

    Pairs with equal distance in rows and in columns share one; numbered in order of appearance.
    """
    numbers: dict[tuple[int, int], int] = {}
    points = list(product(range(window), repeat=2))
    index = [
        numbers.setdefault((abs(r0 - r1), abs(c0 - c1)), len(numbers))
        for r0, c0 in points
        for r1, c1 in points
    ]
    return torch.tensor(index).view(len(points), len(points))


class Mlp(nn.Module):
    """Pre-normalised feed-forward layer on (B, N, C) tokens."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise, widen, narrow."""
        y: Tensor = self.fc2(F.gelu(self.fc1(self.norm(x))))
        return y


class TinyViTBlock(nn.Module):
    """Window attention, a depthwise convolution and an MLP on (B, H, W, C)."""

    def __init__(self, channels: int, heads: int, window: int, mlp_ratio: int) -> None:
        super().__init__()
        self.window = window
        self.attn = WindowAttention(channels, heads, window)
        self.local_conv = ConvNorm(channels, channels, kernel=3, groups=channels)
        self.mlp = Mlp(channels, channels * mlp_ratio)

    def attention(self, x: Tensor) -> Tensor:
        """Attention of (B, H, W, C) in windows, padded with zero tokens at the right and bottom."""
        b, h, w, c = x.shape
        pad_h, pad_w = -h % self.window, -w % self.window
        padded = F.pad(x, (0, 0, 0, pad_w, 0, pad_h))
        rows, columns = (h + pad_h) // self.window, (w + pad_w) // self.window
        grid = padded.view(b, rows, self.window, columns, self.window, c).transpose(2, 3)
        mixed: Tensor = self.attn(grid.reshape(-1, self.window**2, c))
        grid = mixed.view(b, rows, columns, self.window, self.window, c).transpose(2, 3)
        return grid.reshape(padded.shape)[:, :h, :w]

    def forward(self, x: Tensor) -> Tensor:
        """One block; the shape stays."""
        x = x + self.attention(x)
        x = self.local_conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        y: Tensor = x + self.mlp(x)
        return y


class ConvStage(nn.Module):
    """The first stage: convolutions alone, (B, C, H, W) -> (B, C', H / 2, W / 2)."""

    def __init__(self, channels: int, out_channels: int, depth: int, expansion: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(MBConv(channels, expansion) for _ in range(depth))
        self.downsample = PatchMerging(channels, out_channels, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Blocks, then the way to the next stage."""
        for block in self.blocks:
            x = block(x)
        y: Tensor = self.downsample(x)
        return y


class AttentionStage(nn.Module):
    """A stage of TinyViT blocks on (B, C, H, W), with or without a way to the next stage."""

    def __init__(self, blocks: Sequence[TinyViTBlock], downsample: PatchMerging | None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """Blocks on channels-last tokens, then the way to the next stage."""
        x = x.permute(0, 2, 3, 1)
        for block in self.blocks:
            x = block(x)
        x = x.permute(0, 3, 1, 2)
        if self.downsample is not None:
            x = self.downsample(x)
        return x


class TinyViT(nn.Module):
    """(B, 3, H, W) images in [0, 1] -> (B, 256, H / 4, W / 4) embeddings."""

    def __init__(
        self,
        widths: Sequence[int],
        depths: Sequence[int],
        heads: Sequence[int],
        windows: Sequence[int],
        strides: Sequence[int],
        mlp_ratio: int,
        expansion: int,
        out_channels: int,
    ) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(3, widths[0])
        self.layers = nn.ModuleList([ConvStage(widths[0], widths[1], depths[0], expansion)])
        merges: list[PatchMerging | None] = [
            PatchMerging(a, b, stride)
            for (a, b), stride in zip(pairwise(widths[1:]), strides, strict=True)
        ]
        for i, merge in enumerate([*merges, None], start=1):
            blocks = [
                TinyViTBlock(widths[i], heads[i], windows[i], mlp_ratio) for _ in range(depths[i])
            ]
            self.layers.append(AttentionStage(blocks, merge))
        self.neck = nn.Sequential(
            nn.Conv2d(widths[-1], out_channels, 1, bias=False),
            LayerNorm2d(out_channels),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            LayerNorm2d(out_channels),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Encode a batch of images."""
        x = self.patch_embed(images)
        for stage in self.layers:
            x = stage(x)
        y: Tensor = self.neck(x)
        return y
