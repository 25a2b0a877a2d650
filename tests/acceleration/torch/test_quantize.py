import pytest
import torch

from napari_medsam_lite.acceleration.torch import quantize
from napari_medsam_lite.acceleration.torch.attention import sdpa
from napari_medsam_lite.acceleration.torch.folded.network import FoldedMedSAM


def test_the_weight_with_the_large_input_stays():
    weight = torch.tensor([[1.0, 0.9, 0.5, 0.4]])
    moments = torch.diag(torch.tensor([0.01, 1.0, 1.0, 10.0]) ** 2)
    sparse = quantize.sparse_weight(weight, moments)
    assert (sparse != 0).tolist() == [[False, True, False, True]]


def test_the_rest_makes_up_for_what_is_gone():
    torch.manual_seed(0)
    inputs = torch.randn(500, 3) @ torch.randn(3, 8)  # correlated, as activations are
    weight = torch.randn(5, 8)
    moments = inputs.t() @ inputs / len(inputs)
    sparse = quantize.sparse_weight(weight, moments)
    plain = torch.where(sparse == 0, 0, weight)
    wanted = inputs @ weight.t()
    lost, lost_plainly = ((inputs @ w.t() - wanted).norm() for w in (sparse, plain))
    assert lost < 0.8 * lost_plainly


@pytest.mark.slow
def test_two_of_four_weights_are_left(model, images):
    network = quantize.prune_2_4(FoldedMedSAM(model, sdpa), images[:1])
    for layer in quantize.linear_layers(network.encoder):
        zeros = (layer.weight.unflatten(1, (-1, 4)) == 0).sum(-1)
        assert zeros.min() >= 2
