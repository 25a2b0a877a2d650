"""The whole network folded; its prompt encoder is the published one."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from napari_medsam_lite.acceleration.torch.folded.decoder import FoldedDecoder
from napari_medsam_lite.acceleration.torch.folded.encoder import FoldedEncoder
from napari_medsam_lite.core.frame import STRIDE
from napari_medsam_lite.model.layers import Attend
from napari_medsam_lite.model.lite_medsam import LiteMedSAM
from napari_medsam_lite.model.prompt_encoder import box_corners


class FoldedMedSAM(nn.Module):
    """LiteMedSAM with the same numbers and less work, in evaluation mode.

    It shares weights with the model it is made from, which therefore should not be used any more.

    Parameters
    ----------
    model : LiteMedSAM
        The published network, float32.
    attend : callable
        How windows attend.
    """

    def __init__(self, model: LiteMedSAM, attend: Attend) -> None:
        super().__init__()
        self.encoder: nn.Module = FoldedEncoder(model, attend)
        self.prompts = model.prompt_encoder
        self.decoder: nn.Module = FoldedDecoder(model)
        self.dtype = torch.float32
        self.encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.eval().requires_grad_(False)

    def in_type(self, dtype: torch.dtype) -> FoldedMedSAM:
        """The same network in another float type (in place); softmax stays float32 inside torch.

        The boxes' positions are still encoded in float32: two-byte floats would move the corners.
        """
        self.encoder.to(dtype)
        self.decoder.to(dtype)
        self.dtype = dtype
        return self

    def encode(self, images: Tensor) -> Tensor:
        """(B, 3, S, S) images in [0, 1] to (B, (S / 4)^2, 256) embeddings."""
        images = images.to(self.dtype, memory_format=torch.channels_last)
        embeddings: Tensor = self.encoder(images)
        return embeddings

    def decode(self, embeddings: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """(N, (S / 4)^2, 256) embeddings and (N, 4) float32 boxes XYXY in frame pixels, one a mask.

        Returns (N, S, S) logits and (N,) predicted IoU.
        """
        side = STRIDE * math.isqrt(embeddings.shape[1])
        prompts = self.prompts(box_corners(boxes, side))
        logits, iou = self.decoder(embeddings, prompts.to(self.dtype))
        return logits, iou
