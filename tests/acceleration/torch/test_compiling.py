"""torch.compile builds graphs, as many as it should; and why the report saw none."""

import numpy as np
import pytest
import torch
from torch._dynamo.testing import CompileCounter

from napari_medsam_lite.acceleration.backend import silent
from napari_medsam_lite.acceleration.torch import compiling
from napari_medsam_lite.acceleration.torch.attention import sdpa
from napari_medsam_lite.acceleration.torch.folded.network import FoldedMedSAM

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def forget_graphs():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.fixture
def counter(monkeypatch):
    """Counts the graphs of torch.compile and runs them as they are."""
    counter = CompileCounter()
    compile_ = torch.compile

    def counting(module, dynamic=None, mode=None):
        return compile_(module, dynamic=dynamic, backend=counter)

    monkeypatch.setattr(compiling.torch, "compile", counting)
    return counter


def test_graphs_are_built_once_for_all_batch_sizes(model, images, counter):
    said = []
    network = compiling.CompiledMedSAM(FoldedMedSAM(model, sdpa), CPU, False)
    network.prepare(96, said.append)
    network.prepare(96, said.append)
    assert said == ["compiling, once"]
    assert counter.frame_count == 3  # encoder, decoder of one box, decoder of any number
    use(network, images[:, :, :96, :96])
    assert counter.frame_count == 3


def test_each_side_has_graphs_of_its_own_built_once(model, images, counter):
    network = compiling.CompiledMedSAM(FoldedMedSAM(model, sdpa), CPU, False)
    one, other = images[:1, :, :96, :96], images[:1, :, :128, :128]
    for frames, built in ((one, 3), (other, 6), (one, 6), (other, 6)):
        use(network, frames)
        assert counter.frame_count == built


def use(network, images):
    side = images.shape[-1]
    with torch.no_grad():
        embeddings = network.encode(images)
        for count in (1, 2, 5):
            boxes = torch.rand(count, 4).sort(dim=1).values * (side - 1)
            logits, iou = network.decode(embeddings[:1].expand(count, -1, -1).contiguous(), boxes)
            assert logits.shape == (count, side, side)
            assert iou.shape == (count,)


def test_compiling_the_wrapper_compiles_nothing(model, images):
    counter = CompileCounter()
    wrapped = torch.compile(model, backend=counter)
    with torch.no_grad():
        wrapped.image_encoder(images[:1])
    assert counter.frame_count == 0


def test_a_failing_compiler_is_told_in_one_sentence(model, monkeypatch):
    def broken(module, **_):
        class Broken(torch.nn.Module):
            def forward(self, *_):
                raise RuntimeError("g++ is not what it was\nand more")

        return Broken()

    monkeypatch.setattr(compiling.torch, "compile", broken)
    network = compiling.CompiledMedSAM(FoldedMedSAM(model, sdpa), CPU, False)
    with pytest.raises(
        compiling.BackendUnavailableError, match=r"failed: g\+\+ is not what it was$"
    ):
        network.prepare(256, silent)


def test_batches_are_filled_up_to_a_fixed_size():
    part = torch.arange(6.0).view(3, 2)
    filled = compiling._fill(part, 5)
    np.testing.assert_array_equal(filled[:, 0], [0, 2, 4, 4, 4])
    assert compiling._fill(part, 3) is part


@pytest.mark.parametrize("usable", [True, False])
def test_what_is_built_is_kept_where_that_is_possible(own_cache, monkeypatch, caplog, usable):
    monkeypatch.setattr(compiling.os, "environ", {})
    if not usable:
        own_cache.write_text("in the way")
    compiling._set_environment()
    kept = {"TORCHINDUCTOR_CACHE_DIR": str(own_cache / "inductor")}
    assert compiling.os.environ == compiling.QUIET | (kept if usable else {})
    assert ("cannot be kept" in caplog.text) is not usable
