"""Ways to compute attention that give the published numbers."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from napari_medsam_lite.model.layers import Attend
from napari_medsam_lite.model.lite_medsam import LiteMedSAM
from napari_medsam_lite.model.tiny_vit import WindowAttention
from napari_medsam_lite.model.transformer import Attention

SCORES = 60.0


def sdpa(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """Torch's fused attention; shapes as in `model.layers.manual_attention`."""
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)


def unshifted_attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """Attention whose softmax divides once, behind the product, and does not look for a maximum.

    Shapes as in `model.layers.manual_attention`. The usual softmax takes each row's maximum away
    first, lest the exponential overflow; here scores are held within `SCORES`, far beyond those of
    real images, which a float of eight exponent bits carries easily. Not for float16.
    """
    scores = (q @ k.transpose(-2, -1)) * q.shape[-1] ** -0.5
    if bias is not None:
        scores = scores + bias
    weights = scores.clamp(-SCORES, SCORES).exp()
    mixed: Tensor = (weights @ v) / weights.sum(-1, keepdim=True)
    return mixed


def use_attention(model: LiteMedSAM, attend: Attend) -> LiteMedSAM:
    """The model with `attend` in every attention layer (in place)."""
    for module in model.modules():
        if isinstance(module, WindowAttention | Attention):
            module.attend = attend
    return model
