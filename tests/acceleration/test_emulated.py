import sys

import pytest

from napari_medsam_lite.acceleration import emulated as module
from napari_medsam_lite.acceleration.emulated import emulated
from napari_medsam_lite.acceleration.presets import PRESETS
from napari_medsam_lite.core.errors import BackendUnavailableError


@pytest.fixture
def on(monkeypatch):
    """Make it a processor with these units, without a GPU, on Linux."""

    def on(**units):
        monkeypatch.setattr(module, "has_units", {"8-bit": True, "bfloat16": True, **units}.get)

    monkeypatch.setattr(module, "no_cuda", lambda: "there is none")
    monkeypatch.setattr(sys, "platform", "linux")
    return on


def slow(device="cpu"):
    return {name for name in PRESETS if emulated(name, device)}


HALF = {"bf16", "cuda-max"}


@pytest.mark.parametrize("device", ["cpu", "auto"])
@pytest.mark.parametrize(
    ("units", "names"),
    [
        ({"bfloat16": False, "8-bit": False}, {"int8-dynamic", *HALF}),
        ({"bfloat16": False}, HALF),
        ({}, set()),
        ({"bfloat16": None, "8-bit": None}, set()),  # not known
    ],
)
def test_what_a_processor_emulates(on, units, names, device):
    on(**units)
    assert slow(device) == names
    assert emulated("auto", device) is None


def test_a_gpu_emulates_nothing(on, monkeypatch):
    on(**{"bfloat16": False, "8-bit": False})
    assert slow("cuda") == slow("mps") == slow("cuda:1") == set()
    monkeypatch.setattr(module, "no_cuda", lambda: None)
    assert slow("auto") == set()


def test_on_a_mac_auto_is_the_gpu_for_what_runs_there(on, monkeypatch):
    on(**{"bfloat16": False, "8-bit": False})
    monkeypatch.setattr(sys, "platform", "darwin")
    assert emulated("bf16") is None
    assert emulated("bf16", "cpu") is not None
    assert emulated("int8-dynamic") is not None


def test_torch_is_not_asked_where_the_units_are_there(on, monkeypatch):
    on()
    monkeypatch.setattr(module, "no_cuda", lambda: pytest.fail("torch was asked"))
    assert slow("auto") == set()


def test_the_sentence(on):
    on(bfloat16=False)
    assert emulated("bf16", "cpu") == (
        "The preset bf16 runs slowly here: this processor has no bfloat16 units and only "
        "emulates them."
    )


def test_a_preset_that_is_none():
    with pytest.raises(BackendUnavailableError, match="no preset 'warp'"):
        emulated("warp")
