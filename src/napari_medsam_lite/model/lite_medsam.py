"""LiteMedSAM (Ma et al., CVPR 2024 challenge "Segment Anything in Medical Images on Laptop")."""

from __future__ import annotations

from torch import Tensor, nn

from napari_medsam_lite.core.frame import STRIDE
from napari_medsam_lite.model.mask_decoder import MaskDecoder
from napari_medsam_lite.model.prompt_encoder import PromptEncoder, box_corners
from napari_medsam_lite.model.tiny_vit import TinyViT


class LiteMedSAM(nn.Module):
    """The whole network. It is used by its two halves, since one encoding serves many boxes.

    The side S of the frame, one of `core.frame.SIDES`, is read from the shapes; 256 is published.
    """

    def __init__(
        self, image_encoder: TinyViT, prompt_encoder: PromptEncoder, mask_decoder: MaskDecoder
    ) -> None:
        super().__init__()
        self.image_encoder = image_encoder
        self.prompt_encoder = prompt_encoder
        self.mask_decoder = mask_decoder

    def encode(self, images: Tensor) -> Tensor:
        """(B, 3, S, S) images in [0, 1] to (B, 256, S / 4, S / 4) embeddings."""
        embeddings: Tensor = self.image_encoder(images)
        return embeddings

    def decode(self, embeddings: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 256, S / 4, S / 4) embeddings and (N, 4) boxes XYXY in frame pixels, one a mask.

        Returns (N, 1, S, S) logits and (N, 1) predicted IoU.
        """
        grid = embeddings.shape[-1]
        logits, iou = self.mask_decoder(
            embeddings,
            self.prompt_encoder.dense_pe(grid),
            self.prompt_encoder.no_mask_embed.weight,
            self.prompt_encoder(box_corners(boxes, STRIDE * grid)),
        )
        return logits, iou

    def forward(self, images: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Encode (N, 3, S, S) and decode one box a image."""
        return self.decode(self.encode(images), boxes)
