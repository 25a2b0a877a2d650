"""The mask decoder of Segment Anything (Kirillov et al., ICCV 2023).

LiteMedSAM answers with one mask a box, so only the first mask token is turned into a mask; all four
take part in the attention, as they did in training.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_medsam_lite.model.layers import MLP, LayerNorm2d
from napari_medsam_lite.model.transformer import TwoWayTransformer

MASK_TOKENS = 4


class MaskDecoder(nn.Module):
    """Image embeddings and prompt tokens to mask logits and predicted IoU."""

    def __init__(self, transformer: TwoWayTransformer, channels: int) -> None:
        super().__init__()
        self.transformer = transformer
        self.iou_token = nn.Embedding(1, channels)
        self.mask_tokens = nn.Embedding(MASK_TOKENS, channels)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(channels, channels // 4, 2, 2),
            LayerNorm2d(channels // 4),
            nn.GELU(),
            nn.ConvTranspose2d(channels // 4, channels // 8, 2, 2),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(
            MLP([channels, channels, channels, channels // 8]) for _ in range(MASK_TOKENS)
        )
        self.iou_prediction_head = MLP([channels, channels, channels, MASK_TOKENS])

    def forward(
        self, embeddings: Tensor, dense_pe: Tensor, no_mask: Tensor, prompts: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Decode one mask a prompt.

        Parameters
        ----------
        embeddings : Tensor
            (N, C, h, w), one a prompt.
        dense_pe : Tensor
            (C, h, w) position of each embedding pixel.
        no_mask : Tensor
            (1, C), what is added to the image when no mask prompts it.
        prompts : Tensor
            (N, 2, C) prompt tokens.

        Returns
        -------
        logits, iou : Tensor
            (N, 1, 4 h, 4 w) and (N, 1).
        """
        n, c, h, w = embeddings.shape
        own = torch.cat([self.iou_token.weight, self.mask_tokens.weight])
        tokens = torch.cat([own.expand(n, -1, -1), prompts], dim=1)
        image = embeddings.flatten(2).transpose(1, 2) + no_mask
        tokens, image = self.transformer(image, dense_pe.flatten(1).t(), tokens)
        upscaled = self.output_upscaling(image.transpose(1, 2).reshape(n, c, h, w))
        weights = self.output_hypernetworks_mlps[0](tokens[:, 1])
        logits = weights[:, None] @ upscaled.flatten(2)
        iou = self.iou_prediction_head(tokens[:, 0])[:, :1]
        return logits.view(n, 1, *upscaled.shape[-2:]), iou
