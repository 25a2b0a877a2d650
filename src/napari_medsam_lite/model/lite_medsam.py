"""LiteMedSAM (Ma et al., CVPR 2024 challenge "Segment Anything in Medical Images on Laptop")."""

from __future__ import annotations

from torch import Tensor, nn

from napari_medsam_lite.model.mask_decoder import MaskDecoder
from napari_medsam_lite.model.prompt_encoder import PromptEncoder
from napari_medsam_lite.model.tiny_vit import TinyViT


class LiteMedSAM(nn.Module):
    """The whole network. It is used by its two halves, since one encoding serves many boxes."""

    def __init__(
        self, image_encoder: TinyViT, prompt_encoder: PromptEncoder, mask_decoder: MaskDecoder
    ) -> None:
        super().__init__()
        self.image_encoder = image_encoder
        self.prompt_encoder = prompt_encoder
        self.mask_decoder = mask_decoder

    def encode(self, images: Tensor) -> Tensor:
        """(B, 3, 256, 256) images in [0, 1] to (B, 256, 64, 64) embeddings."""
        embeddings: Tensor = self.image_encoder(images)
        return embeddings

    def decode(self, embeddings: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 256, 64, 64) embeddings and (N, 4) boxes XYXY in frame pixels, one a mask.

        Returns (N, 1, 256, 256) logits and (N, 1) predicted IoU.
        """
        logits, iou = self.mask_decoder(
            embeddings,
            self.prompt_encoder.dense_pe,
            self.prompt_encoder.no_mask_embed.weight,
            self.prompt_encoder(boxes),
        )
        return logits, iou

    def forward(self, images: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Encode (N, 3, 256, 256) and decode one box a image."""
        return self.decode(self.encode(images), boxes)
