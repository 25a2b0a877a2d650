import torch

from napari_medsam_lite.model.layers import LayerNorm2d, manual_attention
from napari_medsam_lite.model.prompt_encoder import PromptEncoder, box_corners
from napari_medsam_lite.model.tiny_vit import TinyViTBlock, offset_index


def test_manual_attention_is_softmax_attention():
    q, k, v = (torch.randn(2, 3, n, 8) for n in (4, 5, 5))
    bias = torch.randn(3, 4, 5)
    torch.testing.assert_close(
        manual_attention(q, k, v, bias),
        torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=bias),
    )


def test_layer_norm_2d_normalises_channels():
    x = torch.randn(2, 16, 3, 3) * 5 + 2
    expected = torch.nn.functional.layer_norm(x.permute(0, 2, 3, 1), (16,), eps=1e-6)
    torch.testing.assert_close(LayerNorm2d(16)(x), expected.permute(0, 3, 1, 2))


def test_offset_index_shares_equal_distances():
    index = offset_index(3)
    assert index.shape == (9, 9)
    assert index.max() + 1 == 9
    assert index[0, 4] == index[8, 4] == index[4, 0]
    assert index[0, 1] != index[0, 3]


def test_padded_tokens_take_part():
    """The published weights were trained so: zero tokens in the padding are keys."""
    torch.manual_seed(0)
    block = TinyViTBlock(16, 2, 7, 4).eval()
    x = torch.randn(1, 10, 10, 16)
    padded = torch.nn.functional.pad(x, (0, 0, 0, 4, 0, 4))
    with torch.inference_mode():
        assert block.attention(x).shape == x.shape
        torch.testing.assert_close(block.attention(x), block.attention(padded)[:, :10, :10])


def test_dense_positions_follow_the_loaded_frequencies():
    encoder = PromptEncoder(16, [4, 6], 16)
    other = PromptEncoder(16, [4, 6], 16)
    assert not torch.equal(encoder.dense_pe(6), other.dense_pe(6))
    other.load_state_dict(encoder.state_dict())
    for grid in (4, 6):
        assert encoder.dense_pe(grid).shape == (16, grid, grid)
        torch.testing.assert_close(encoder.dense_pe(grid), other.dense_pe(grid))


def test_positions_of_corners_and_of_pixels_are_one_encoding():
    """A corner on a pixel's centre: both are fractions of the frame, whatever its side."""
    encoder = PromptEncoder(16, [4], 16)
    corners = torch.tensor([[[0.125, 0.375], [0.625, 0.875]]])
    labels = torch.cat([encoder.point_embeddings[2].weight, encoder.point_embeddings[3].weight])
    wanted = torch.stack([encoder.dense_pe(4)[:, 1, 0], encoder.dense_pe(4)[:, 3, 2]])
    torch.testing.assert_close(encoder(corners)[0] - labels, wanted)


def test_a_box_is_a_fraction_of_its_frame():
    corners = box_corners(torch.tensor([[9.5, 19.5, 39.5, 79.5]]), 160)
    assert corners.tolist() == [[[0.0625, 0.125], [0.25, 0.5]]]
