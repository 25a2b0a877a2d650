"""The mask decoder rewritten for many boxes: same numbers, less than half the work.

Seven tokens meet P image pixels, 4096 in a frame of 256, so whatever is projected is projected on
the tokens' side:

- a score q . (W x) is (W^T q) . x: the image's key projection, 4096 x 256 x 128 products, becomes
  one of the 7 tokens' queries, and so do its queries where the image looks at the tokens;
- attention over W x + b is W (attention over x) + b, since the weights of a softmax sum to one: the
  image's value projection goes behind the attention; and where the image looks at the tokens, the
  output projection goes to the tokens' values;
- a constant added to all scores of one softmax changes nothing, so the keys' bias is left out;
- a transposed convolution of kernel and stride 2 is a linear layer a pixel, with four neighbours
  side by side; only the finished logits are put in order;
- the mean that a normalisation takes away is taken from the weights before it, once;
- one mask token of four makes a mask, so one hypernetwork runs, and only this token and the IoU's
  take the last look at the image.

Pixels stay (N, P, 256), pixels before channels, throughout.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_medsam_lite.model.layers import LayerNorm2d
from napari_medsam_lite.model.lite_medsam import LiteMedSAM
from napari_medsam_lite.model.transformer import Attention, FeedForward, TwoWayBlock

UP = 2
READ = 2
"""Tokens that are read in the end: of the predicted IoU and of the first mask."""


class TokensToImage(nn.Module):
    """Tokens look at the image; the projections of keys and values are moved to the tokens."""

    def __init__(self, source: Attention) -> None:
        super().__init__()
        self.heads = source.heads
        self.q_proj, self.out_proj = source.q_proj, source.out_proj
        width = source.q_proj.out_features // source.heads
        self.scale = width**-0.5
        self.register_buffer("key", _heads(source.k_proj.weight, self.heads))
        value = _heads(source.v_proj.weight, self.heads)
        self.register_buffer("value", value.transpose(1, 2).contiguous())
        self.register_buffer("value_bias", source.v_proj.bias.detach().view(self.heads, 1, -1))

    def forward(self, tokens: Tensor, located: Tensor, image: Tensor) -> Tensor:
        """Tokens (N, T, C), image with and without position (N, P, C), to (N, T, C)."""
        _, t, c = tokens.shape
        q = self.q_proj(tokens).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        asked = ((q * self.scale) @ self.key).reshape(-1, self.heads * t, c)
        weights = (asked @ located.transpose(1, 2)).softmax(dim=-1)
        seen = (weights @ image).reshape(-1, self.heads, t, c)
        mixed = seen @ self.value + self.value_bias
        y: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return y


class ImageToTokens(nn.Module):
    """The image looks at the tokens; its query and output projections are moved to the tokens."""

    def __init__(self, source: Attention) -> None:
        super().__init__()
        self.heads = source.heads
        self.k_proj, self.v_proj = source.k_proj, source.v_proj
        width = source.q_proj.out_features // source.heads
        scale = width**-0.5
        query = _heads(source.q_proj.weight, self.heads) * scale
        self.register_buffer("query", query)
        self.register_buffer(
            "query_bias", source.q_proj.bias.detach().view(self.heads, -1, 1) * scale
        )
        out = _heads(source.out_proj.weight.t(), self.heads)
        self.register_buffer("out", out.contiguous())
        # Each head's softmax sums to one, so a part in each head's values adds the whole.
        self.register_buffer("out_bias", source.out_proj.bias.detach() / self.heads)

    def forward(self, located: Tensor, token_keys: Tensor, tokens: Tensor) -> Tensor:
        """Image with position (N, P, C), tokens with and without theirs (N, T, C), to (N, P, C)."""
        _, t, c = tokens.shape
        k = self.k_proj(token_keys).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        v = self.v_proj(tokens).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        asked = (k @ self.query).reshape(-1, self.heads * t, c)
        offset = (k @ self.query_bias).reshape(-1, self.heads * t, 1)
        scores = asked @ located.transpose(1, 2) + offset
        weights = scores.unflatten(1, (self.heads, t)).softmax(dim=2).flatten(1, 2)
        offered = (v @ self.out + self.out_bias).reshape(-1, self.heads * t, c)
        y: Tensor = weights.transpose(1, 2) @ offered
        return y


def _heads(weight: Tensor, heads: int) -> Tensor:
    """(heads * D, C) rows to (heads, D, C)."""
    return weight.detach().reshape(heads, -1, weight.shape[1])


class FoldedTwoWayBlock(nn.Module):
    """`TwoWayBlock` with the image's projections on the tokens' side."""

    def __init__(self, source: TwoWayBlock) -> None:
        super().__init__()
        self.first = source.first
        self.self_attn: Attention = source.self_attn
        self.mlp: FeedForward = source.mlp
        self.norm1, self.norm2 = source.norm1, source.norm2
        self.norm3, self.norm4 = source.norm3, source.norm4
        self.to_image = TokensToImage(source.cross_attn_token_to_image)
        self.to_tokens = ImageToTokens(source.cross_attn_image_to_token)

    def forward(
        self, tokens: Tensor, image: Tensor, token_pe: Tensor, image_pe: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Tokens (N, T, C) and image (N, P, C), each with its position, to the same shapes."""
        if self.first:
            tokens = self.self_attn(tokens, tokens, tokens)
        else:
            q = tokens + token_pe
            tokens = tokens + self.self_attn(q, q, tokens)
        tokens = self.norm1(tokens)
        located = image + image_pe
        tokens = self.norm2(tokens + self.to_image(tokens + token_pe, located, image))
        tokens = self.norm3(tokens + self.mlp(tokens))
        image = self.norm4(image + self.to_tokens(located, tokens + token_pe, tokens))
        return tokens, image


class FoldedUpscaling(nn.Module):
    """Pixels (N, P, C) and weights (N, C / 8) to logits (N, 4 sqrt(P), 4 sqrt(P))."""

    def __init__(self, source: nn.Sequential) -> None:
        super().__init__()
        first, norm, _, second, _ = source
        assert isinstance(norm, LayerNorm2d)
        self.first, self.second = _centred(_as_linear(first)), _as_linear(second)
        self.norm = norm

    def forward(self, image: Tensor, weights: Tensor, side: int) -> Tensor:
        """Double twice, weigh the channels, and put the pixels in order."""
        x = self.first(image).unflatten(-1, (UP * UP, -1))
        x = F.gelu(F.rms_norm(x, x.shape[-1:], self.norm.weight, self.norm.eps) + self.norm.bias)
        x = F.gelu(self.second(x.flatten(1, 2)))
        x = x.reshape(-1, side * side * UP**4, weights.shape[-1]) @ weights[:, :, None]
        x = x.reshape(-1, side, side, UP, UP, UP, UP).permute(0, 1, 3, 5, 2, 4, 6)
        return x.reshape(-1, side * UP * UP, side * UP * UP)


def _as_linear(source: nn.Module) -> nn.Linear:
    """A transposed convolution of kernel and stride 2 as (C) -> (row, column, C')."""
    assert isinstance(source, nn.ConvTranspose2d)
    assert source.bias is not None
    linear = nn.Linear(source.in_channels, UP * UP * source.out_channels)
    weight = source.weight.detach().permute(2, 3, 1, 0).reshape(linear.weight.shape)
    linear.weight = nn.Parameter(weight.clone(), requires_grad=False)
    bias = source.bias.detach().repeat(UP * UP)
    linear.bias = nn.Parameter(bias, requires_grad=False)
    return linear


def _centred(linear: nn.Linear) -> nn.Linear:
    """The layer with outputs of mean zero for each neighbour: the first half of their norm."""
    for values in (linear.weight, linear.bias):
        groups = values.data.view(UP * UP, -1, *values.shape[1:])
        groups -= groups.mean(1, keepdim=True)
    return linear


class FoldedDecoder(nn.Module):
    """(N, P, 256) embeddings of `FoldedEncoder` and (N, 2, 256) prompt tokens to masks.

    Parameters
    ----------
    model : LiteMedSAM
        The published network, float32; it is not changed.
    """

    def __init__(self, model: LiteMedSAM) -> None:
        super().__init__()
        source, prompts = model.mask_decoder, model.prompt_encoder
        blocks = [b for b in source.transformer.layers if isinstance(b, TwoWayBlock)]
        self.blocks = nn.ModuleList(FoldedTwoWayBlock(b) for b in blocks)
        self.to_image = TokensToImage(source.transformer.final_attn_token_to_image)
        self.norm = source.transformer.norm_final_attn
        self.upscaling = FoldedUpscaling(source.output_upscaling)
        self.hypernetwork = source.output_hypernetworks_mlps[0]
        self.iou_head = source.iou_prediction_head
        own = torch.cat([source.iou_token.weight, source.mask_tokens.weight])
        self.own_tokens: Tensor
        self.register_buffer("own_tokens", own.detach()[None])
        for grid in prompts.grids:
            positions = prompts.dense_pe(grid).flatten(1).t().contiguous()
            self.register_buffer(f"image_pe_{grid}", positions)

    def forward(self, embeddings: Tensor, prompts: Tensor) -> tuple[Tensor, Tensor]:
        """Decode one mask a prompt: (N, 4 sqrt(P), 4 sqrt(P)) logits and (N,) predicted IoU."""
        grid = math.isqrt(embeddings.shape[1])
        image_pe = self.get_buffer(f"image_pe_{grid}")
        token_pe = torch.cat([self.own_tokens.expand(prompts.shape[0], -1, -1), prompts], dim=1)
        tokens, image = token_pe, embeddings
        for block in self.blocks:
            tokens, image = block(tokens, image, token_pe, image_pe)
        last = tokens[:, :READ]
        seen = self.to_image(last + token_pe[:, :READ], image + image_pe, image)
        iou, mask = self.norm(last + seen).unbind(1)
        return self.upscaling(image, self.hypernetwork(mask), grid), self.iou_head(iou)[:, 0]
