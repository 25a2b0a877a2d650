import pytest
import torch

from napari_medsam_lite.acceleration import quantize
from napari_medsam_lite.acceleration.attention import sdpa
from napari_medsam_lite.acceleration.lean import LeanMedSAM


class Small(torch.nn.Module):
    """One linear layer in place of the encoder."""

    def __init__(self):
        super().__init__()
        self.encoder = torch.nn.Linear(4, 1).requires_grad_(False)

    def encode(self, x):
        return self.encoder(x)


def test_weights_with_large_inputs_stay():
    network = Small()
    network.encoder.weight.copy_(torch.tensor([[1.0, 0.9, 0.5, 0.4]]))
    frames = torch.tensor([[0.01, 1.0, 1.0, 10.0]])
    quantize.prune_2_4(network, frames)
    kept = network.encoder.weight != 0
    assert kept.tolist() == [[False, True, False, True]]


@pytest.mark.slow
def test_two_of_four_weights_are_left(model, images):
    network = quantize.prune_2_4(LeanMedSAM(model, sdpa), images[:1])
    for layer in quantize.linear_layers(network.encoder):
        zeros = (layer.weight.unflatten(1, (-1, 4)) == 0).sum(-1)
        assert zeros.min() >= 2
