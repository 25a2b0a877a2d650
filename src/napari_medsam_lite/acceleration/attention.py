"""Ways to compute attention that give the published numbers."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from napari_medsam_lite.model.layers import Attend
from napari_medsam_lite.model.lite_medsam import LiteMedSAM
from napari_medsam_lite.model.tiny_vit import WindowAttention
from napari_medsam_lite.model.transformer import Attention


def sdpa(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """Torch's fused attention; shapes as in `model.layers.manual_attention`."""
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)


def use_attention(model: LiteMedSAM, attend: Attend) -> LiteMedSAM:
    """The model with `attend` in every attention layer (in place)."""
    for module in model.modules():
        if isinstance(module, WindowAttention | Attention):
            module.attend = attend
    return model
