"""The image encoder with all folded that does not depend on the image: same numbers, less work.

- batch normalisation goes into the convolution before it;
- the affine part of a layer normalisation goes into the linear layer behind it;
- keys and values are shifted so that a padded token is zero. Published, windows are padded with
  zero tokens before the normalisation, so that each becomes the constant key and value of the
  normalisation's bias. A constant added to all keys does not change a softmax, and one added to all
  values adds to the output, so it goes to the output's bias: the projections then run on real
  tokens alone and the padding is plain zeros;
- in the stages with attention the stream is rows of tokens, (B H W, C): linear layers take it as
  it is, a channels-last convolution sees the same memory, and OpenVINO has no layout to choose;
- the convolutions before the first attention make 256 channels at the image's full
  resolution, which no processor's cache holds; they run on strips of rows, each with the few rows
  of its neighbours that reach into it;
- what the decoder adds to the image when no mask prompts it is added once, by the last bias.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_medsam_lite.model.layers import Attend, ConvNorm, LayerNorm2d
from napari_medsam_lite.model.lite_medsam import LiteMedSAM
from napari_medsam_lite.model.tiny_vit import (
    AttentionStage,
    ConvStage,
    MBConv,
    Mlp,
    PatchMerging,
    TinyViT,
    TinyViTBlock,
    WindowAttention,
)

STRIPS = 2
REACH = 4
"""Rows on each side of a strip that the three 3 x 3 convolutions look at: 3, and even."""


def fold_batch_norm(layer: ConvNorm) -> nn.Conv2d:
    """One convolution with a bias that answers as `layer` does in evaluation mode."""
    conv, norm = layer.c, layer.bn
    assert norm.running_var is not None
    assert norm.running_mean is not None
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    folded = nn.Conv2d(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,  # type: ignore[arg-type]
        conv.stride,  # type: ignore[arg-type]
        conv.padding,  # type: ignore[arg-type]
        groups=conv.groups,
    )
    folded.weight = _fixed(conv.weight * scale[:, None, None, None])
    folded.bias = _fixed(norm.bias - norm.running_mean * scale)
    return folded


def fold_layer_norm(norm: nn.LayerNorm, linear: nn.Linear) -> nn.Linear:
    """The linear layer that takes plainly normalised tokens where `linear` took those of `norm`."""
    folded = nn.Linear(linear.in_features, linear.out_features)
    folded.weight = _fixed(linear.weight * norm.weight)
    folded.bias = _fixed(linear.bias + linear.weight @ norm.bias)
    return folded


def _fixed(value: Tensor) -> nn.Parameter:
    return nn.Parameter(value.detach().clone(), requires_grad=False)


class FoldedWindowAttention(nn.Module):
    """`WindowAttention` and its windows on tokens, padded by zeros after the projections."""

    def __init__(self, source: WindowAttention, window: int, attend: Attend) -> None:
        super().__init__()
        self.heads, self.window, self.attend = source.heads, window, attend
        channels = source.qkv.in_features
        self.width = channels // source.heads
        folded = fold_layer_norm(source.norm, source.qkv)
        weight = folded.weight.view(source.heads, 3, self.width, channels).transpose(0, 1)
        bias = folded.bias.view(source.heads, 3, self.width).transpose(0, 1).flatten(1)
        self.eps = source.norm.eps
        self.qkv = nn.Linear(channels, 3 * channels)
        self.qkv.weight = _fixed(weight.reshape(3 * channels, channels))
        # Only the queries keep their bias: a padded token's key and value are then zero.
        self.qkv.bias = _fixed(torch.cat([bias[0], torch.zeros(2 * channels)]))
        self.proj = nn.Linear(channels, channels)
        self.proj.weight = _fixed(source.proj.weight)
        self.proj.bias = _fixed(source.proj.bias + source.proj.weight @ bias[2])
        self.bias: Tensor
        self.register_buffer("bias", source.bias().detach()[:, None].contiguous())

    def forward(self, tokens: Tensor, h: int, w: int) -> Tensor:
        """(B h w, C) to the same shape."""
        c, down, right = tokens.shape[-1], -h % self.window, -w % self.window
        qkv = self.qkv(F.layer_norm(tokens, (c,), eps=self.eps)).reshape(-1, h, w, 3 * c)
        q, k, v = self._to_windows(F.pad(qkv, (0, 0, 0, right, 0, down))).chunk(3)
        mixed = self._from_windows(self.attend(q, k, v, self.bias), h + down, w + right)
        y: Tensor = self.proj(mixed[:, :h, :w].reshape(-1, c))
        return y

    def _to_windows(self, x: Tensor) -> Tensor:
        """(B, H, W, 3 C) to (3 heads, windows, tokens, C / heads), by one copy."""
        side, columns = self.window, x.shape[2] // self.window
        x = x.reshape(-1, side, columns, side, 3 * self.heads, self.width)
        return x.permute(4, 0, 2, 1, 3, 5).reshape(3 * self.heads, -1, side**2, self.width)

    def _from_windows(self, x: Tensor, h: int, w: int) -> Tensor:
        """(heads, windows, tokens, C / heads) to (B, h, w, C)."""
        side, columns = self.window, w // self.window
        x = x.reshape(self.heads, -1, columns, side, side, self.width)
        return x.permute(1, 3, 2, 4, 0, 5).reshape(-1, h, w, self.heads * self.width)


class FoldedMlp(nn.Module):
    """`Mlp` with its normalisation's affine part folded."""

    def __init__(self, source: Mlp) -> None:
        super().__init__()
        self.eps = source.norm.eps
        self.fc1, self.fc2 = fold_layer_norm(source.norm, source.fc1), source.fc2

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) to the same shape."""
        y: Tensor = self.fc2(F.gelu(self.fc1(F.layer_norm(x, x.shape[-1:], eps=self.eps))))
        return y


class FoldedViTBlock(nn.Module):
    """`TinyViTBlock` on rows of tokens."""

    def __init__(self, source: TinyViTBlock, attend: Attend) -> None:
        super().__init__()
        self.attn = FoldedWindowAttention(source.attn, source.window, attend)
        self.local_conv = fold_batch_norm(source.local_conv)
        self.mlp = FoldedMlp(source.mlp)

    def forward(self, tokens: Tensor, h: int, w: int) -> Tensor:
        """One block: (B h w, C) to the same shape."""
        tokens = tokens + self.attn(tokens, h, w)
        tokens = _to_tokens(self.local_conv(_to_image(tokens, h, w)))
        y: Tensor = tokens + self.mlp(tokens)
        return y


class FoldedMBConv(nn.Module):
    """`MBConv` with folded normalisation."""

    def __init__(self, source: MBConv) -> None:
        super().__init__()
        self.conv1 = fold_batch_norm(source.conv1)
        self.conv2 = fold_batch_norm(source.conv2)
        self.conv3 = fold_batch_norm(source.conv3)

    def forward(self, x: Tensor) -> Tensor:
        """Expand, mix in space, project back, add."""
        y = F.gelu(self.conv2(F.gelu(self.conv1(x))))
        return F.gelu(self.conv3(y) + x)


def folded_merging(source: PatchMerging) -> nn.Sequential:
    """`PatchMerging` with folded normalisation."""
    return nn.Sequential(
        fold_batch_norm(source.conv1),
        nn.GELU(),
        fold_batch_norm(source.conv2),
        nn.GELU(),
        fold_batch_norm(source.conv3),
    )


class FoldedStage(nn.Module):
    """`AttentionStage`: the blocks on rows of tokens, then (B, C, H, W) to the next stage."""

    def __init__(self, source: AttentionStage, attend: Attend) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            FoldedViTBlock(b, attend) for b in source.blocks if isinstance(b, TinyViTBlock)
        )
        self.downsample = folded_merging(source.downsample) if source.downsample else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', H', W')."""
        h, w = x.shape[2:]
        tokens = _to_tokens(x)
        for block in self.blocks:
            tokens = block(tokens, h, w)
        y: Tensor = self.downsample(_to_image(tokens, h, w))
        return y


def _to_tokens(x: Tensor) -> Tensor:
    """(B, C, H, W) to (B H W, C); the memory stays where it is when `x` is channels-last."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _to_image(tokens: Tensor, h: int, w: int) -> Tensor:
    """(B h w, C) to (B, C, h, w), channels-last."""
    return tokens.reshape(-1, h, w, tokens.shape[-1]).permute(0, 3, 1, 2)


class FoldedEncoder(nn.Module):
    """(B, 3, H, W) images in [0, 1] to (B, P, 256) embeddings of P = H / 4 x W / 4 pixels.

    Parameters
    ----------
    model : LiteMedSAM
        The published network, float32; it is not changed.
    attend : callable
        How windows attend.
    """

    def __init__(self, model: LiteMedSAM, attend: Attend) -> None:
        super().__init__()
        source: TinyViT = model.image_encoder
        first, _, second = source.patch_embed.seq
        assert isinstance(first, ConvNorm)
        assert isinstance(second, ConvNorm)
        self.patch_embed = nn.Sequential(fold_batch_norm(first), nn.GELU(), fold_batch_norm(second))
        convs = source.layers[0]
        assert isinstance(convs, ConvStage)
        self.convs = nn.Sequential(
            *(FoldedMBConv(b) for b in convs.blocks if isinstance(b, MBConv)),
            *folded_merging(convs.downsample),
        )
        self.stages = nn.Sequential(
            *(FoldedStage(s, attend) for s in source.layers if isinstance(s, AttentionStage))
        )
        self.narrow, self.norm1, self.mix, self.norm2 = source.neck
        self.no_mask = _fixed(model.prompt_encoder.no_mask_embed.weight)

    def forward(self, images: Tensor) -> Tensor:
        """Encode a batch of images."""
        x = self.narrow(self.stages(self._in_strips(images)))
        x = _norm_pixels(x.permute(0, 2, 3, 1), self.norm1).permute(0, 3, 1, 2)
        x = _norm_pixels(self.mix(x).permute(0, 2, 3, 1), self.norm2)
        return x.flatten(1, 2) + self.no_mask

    def _in_strips(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, C, H / 2, W / 2), strip by strip."""
        rows = images.shape[2]
        height, strips = rows // STRIPS, []
        for top in range(0, rows, height):
            first = max(top - REACH, 0)
            part = self.convs(self.patch_embed(images[:, :, first : top + height + REACH]))
            strips.append(part[:, :, (top - first) // 2 :][:, :, : height // 2])
        return torch.cat(strips, 2)


def _norm_pixels(x: Tensor, norm: nn.Module) -> Tensor:
    assert isinstance(norm, LayerNorm2d)
    return F.layer_norm(x, x.shape[-1:], norm.weight, norm.bias, norm.eps)
