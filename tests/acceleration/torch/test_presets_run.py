"""What other tests replace by something quick, once for real."""

import numpy as np
import pytest
import torch
from tests.acceleration.conftest import BOXES
from tests.acceleration.processor import needs_units

from napari_medsam_lite.acceleration.torch import compiling, quantize
from napari_medsam_lite.acceleration.torch.attention import sdpa
from napari_medsam_lite.acceleration.torch.folded.network import FoldedMedSAM
from napari_medsam_lite.core.agreement import dice
from napari_medsam_lite.core.frame import FRAME
from napari_medsam_lite.model.prompt_encoder import box_corners

pytestmark = pytest.mark.slow


def masks(network, images):
    boxes = torch.from_numpy(BOXES)
    with torch.no_grad():
        embeddings = network.encode(images[:1]).expand(len(boxes), -1, -1)
        return network.decode(embeddings, boxes)[0].numpy() > 0


@pytest.mark.parametrize(
    "name", ["int8_weight_only", pytest.param("int8_dynamic", marks=needs_units("int8-dynamic"))]
)
@pytest.mark.filterwarnings("ignore")  # torchao's, about its own future
def test_torchao_keeps_the_masks(name, model, images):
    pytest.importorskip("torchao")
    network = FoldedMedSAM(model, sdpa)
    wanted = masks(network, images)
    before = network.encoder.state_dict().keys()
    got = masks(getattr(quantize, name)(network), images)
    assert network.encoder.state_dict().keys() == before
    assert not all(type(p.data) is torch.Tensor for p in network.encoder.parameters())
    assert np.mean([dice(a, b) for a, b in zip(got, wanted, strict=True)]) > 0.97


@pytest.mark.filterwarnings("ignore")
def test_the_real_inductor_builds_the_decoder(model, images):
    network = FoldedMedSAM(model, sdpa)
    embeddings = torch.randn(3, 4096, 256)
    prompts = network.prompts(box_corners(torch.from_numpy(BOXES), FRAME))
    torch._dynamo.reset()
    with torch.no_grad():
        wanted = network.decoder(embeddings, prompts)
        built = compiling._compiled(network.decoder, dynamic=None, mode=None)
        got = built(embeddings, prompts)
    torch._dynamo.reset()
    for one, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(one, other, atol=2e-3, rtol=1e-3)
