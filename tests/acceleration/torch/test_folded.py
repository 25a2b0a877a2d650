"""The folded network gives the published numbers."""

import sys

import numpy as np
import pytest
import torch
from tests.acceleration.conftest import BOXES

from napari_medsam_lite.acceleration.ct_like import ct_like_frames
from napari_medsam_lite.acceleration.torch.allocator import keep_freed_memory
from napari_medsam_lite.acceleration.torch.attention import sdpa, unshifted_attention
from napari_medsam_lite.acceleration.torch.folded.encoder import (
    FoldedWindowAttention,
    fold_batch_norm,
)
from napari_medsam_lite.acceleration.torch.folded.network import FoldedMedSAM
from napari_medsam_lite.acceleration.torch.nested import NestedWindowAttention
from napari_medsam_lite.core.frame import SIDES
from napari_medsam_lite.model.layers import ConvNorm, manual_attention
from napari_medsam_lite.model.tiny_vit import TinyViTBlock


@pytest.mark.parametrize("side", SIDES)
def test_folded_network_equals_the_published_one(model, side):
    images = torch.from_numpy(ct_like_frames(1, side=side))
    boxes = torch.from_numpy(BOXES[:2] * side / 256)
    with torch.no_grad():
        embeddings = model.encode(images)
        logits, iou = model.decode(embeddings.expand(2, -1, -1, -1), boxes)
        image = embeddings.flatten(2).transpose(1, 2) + model.prompt_encoder.no_mask_embed.weight
        folded = FoldedMedSAM(model, manual_attention)
        encoded = folded.encode(images)
        folded_logits, folded_iou = folded.decode(encoded.expand(2, -1, -1), boxes)
    torch.testing.assert_close(encoded, image, atol=1e-4, rtol=0)
    torch.testing.assert_close(folded_logits, logits[:, 0], atol=2e-3, rtol=0)
    torch.testing.assert_close(folded_iou, iou[:, 0], atol=1e-4, rtol=0)


def test_folded_batch_norm_equals_both_layers():
    layer = ConvNorm(6, 8, kernel=3, stride=2, groups=2).eval()
    torch.nn.init.normal_(layer.bn.running_mean)
    torch.nn.init.uniform_(layer.bn.running_var, 0.5, 2)
    x = torch.randn(2, 6, 9, 9)
    torch.testing.assert_close(fold_batch_norm(layer)(x), layer(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("attend", [manual_attention, sdpa, unshifted_attention])
@pytest.mark.parametrize("size", [(14, 14), (16, 9), (5, 7)])
def test_windows_with_and_without_padding(attend, size):
    block = random_block()
    x = torch.randn(2, *size, 24)
    folded = FoldedWindowAttention(block.attn, block.window, attend)
    nested = NestedWindowAttention(folded)
    with torch.no_grad():
        wanted, tokens = block.attention(x).flatten(0, 2), x.flatten(0, 2)
        torch.testing.assert_close(folded(tokens, *size), wanted, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(nested(tokens, *size), wanted, atol=1e-5, rtol=1e-5)


def test_attention_without_a_maximum_stands_enormous_scores():
    q, k, v = (torch.randn(1, 1, 5, 4) * size for size in (100, 100, 1))
    assert torch.isfinite(unshifted_attention(q, k, v)).all()


def random_block() -> TinyViTBlock:
    torch.manual_seed(0)
    block = TinyViTBlock(24, heads=3, window=7, mlp_ratio=2).eval()
    for weights in (block.attn.attention_biases, block.attn.norm.weight, block.attn.norm.bias):
        torch.nn.init.normal_(weights)
    return block


@pytest.mark.parametrize("side", SIDES)
def test_calibration_frames_are_the_same_each_time(side):
    frames = ct_like_frames(2, side=side)
    assert frames.shape == (2, 3, side, side)
    assert frames.dtype == np.float32
    assert frames.min() == 0
    assert frames.max() == 1
    np.testing.assert_array_equal(frames, ct_like_frames(2, side=side))


@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone")
def test_allocator_takes_the_settings():
    assert keep_freed_memory()
