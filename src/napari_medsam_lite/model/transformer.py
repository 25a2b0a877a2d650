"""The two-way transformer of Segment Anything's mask decoder (Kirillov et al., ICCV 2023)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from napari_medsam_lite.model.layers import Attend, manual_attention


class Attention(nn.Module):
    """Multi-head attention whose inner width may be smaller than the tokens'.

    `attend` is the arithmetic of the attention itself; a preset may put another in its place.
    """

    def __init__(self, channels: int, heads: int, inner: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(channels, inner)
        self.k_proj = nn.Linear(channels, inner)
        self.v_proj = nn.Linear(channels, inner)
        self.out_proj = nn.Linear(inner, channels)
        self.attend: Attend = manual_attention

    def split(self, x: Tensor) -> Tensor:
        """(B, N, C) to (B, heads, N, C / heads)."""
        b, n, c = x.shape
        return x.view(b, n, self.heads, c // self.heads).transpose(1, 2)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Q (B, Nq, C), k and v (B, Nk, C) to (B, Nq, C)."""
        mixed = self.attend(
            self.split(self.q_proj(q)), self.split(self.k_proj(k)), self.split(self.v_proj(v)), None
        )
        y: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return y


class FeedForward(nn.Module):
    """Two linear layers with ReLU between."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.lin1 = nn.Linear(channels, hidden)
        self.lin2 = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) to the same shape."""
        y: Tensor = self.lin2(F.relu(self.lin1(x)))
        return y


class TwoWayBlock(nn.Module):
    """Tokens attend to themselves and to the image, then the image attends to the tokens.

    In the first block the tokens' self-attention replaces them and goes without their position.
    """

    def __init__(self, channels: int, heads: int, hidden: int, inner: int, first: bool) -> None:
        super().__init__()
        self.first = first
        self.self_attn = Attention(channels, heads, channels)
        self.norm1 = nn.LayerNorm(channels)
        self.cross_attn_token_to_image = Attention(channels, heads, inner)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = FeedForward(channels, hidden)
        self.norm3 = nn.LayerNorm(channels)
        self.cross_attn_image_to_token = Attention(channels, heads, inner)
        self.norm4 = nn.LayerNorm(channels)

    def forward(
        self, tokens: Tensor, image: Tensor, token_pe: Tensor, image_pe: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Tokens (B, T, C) and image (B, HW, C), each with its position, to the same shapes."""
        if self.first:
            tokens = self.self_attn(tokens, tokens, tokens)
        else:
            q = tokens + token_pe
            tokens = tokens + self.self_attn(q, q, tokens)
        tokens = self.norm1(tokens)
        located = image + image_pe
        tokens = self.norm2(
            tokens + self.cross_attn_token_to_image(tokens + token_pe, located, image)
        )
        tokens = self.norm3(tokens + self.mlp(tokens))
        image = self.norm4(
            image + self.cross_attn_image_to_token(located, tokens + token_pe, tokens)
        )
        return tokens, image


class TwoWayTransformer(nn.Module):
    """A stack of two-way blocks and a last look of the tokens at the image."""

    def __init__(self, depth: int, channels: int, heads: int, hidden: int) -> None:
        super().__init__()
        inner = channels // 2
        self.layers = nn.ModuleList(
            TwoWayBlock(channels, heads, hidden, inner, first=i == 0) for i in range(depth)
        )
        self.final_attn_token_to_image = Attention(channels, heads, inner)
        self.norm_final_attn = nn.LayerNorm(channels)

    def forward(self, image: Tensor, image_pe: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Image (B, HW, C), its position (HW, C), tokens (B, T, C) -> tokens, image."""
        token_pe = tokens
        for layer in self.layers:
            tokens, image = layer(tokens, image, token_pe, image_pe)
        seen = self.final_attn_token_to_image(tokens + token_pe, image + image_pe, image)
        return self.norm_final_attn(tokens + seen), image
