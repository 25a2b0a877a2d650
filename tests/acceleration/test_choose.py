import pytest

from napari_medsam_lite.acceleration import choose
from napari_medsam_lite.acceleration.choose import best_preset, sensible_start
from napari_medsam_lite.acceleration.tuning.measurement import Measurement
from napari_medsam_lite.acceleration.tuning.remembered import memory_file, remember

pytestmark = pytest.mark.usefixtures("own_cache")


def good(preset: str, encode: float, agreement: float = 1.0, decode: float = 0.01) -> Measurement:
    return Measurement(preset, None, "CPU", encode, decode, 1.0, 10, agreement)


def test_before_calibration_there_is_a_sensible_start(checkpoint):
    assert best_preset(checkpoint, "cpu") == "openvino"


def test_the_fastest_that_agrees_wins(checkpoint):
    found = [good("eager", 1.0), good("sdpa", 0.5), good("bf16", 0.1, agreement=0.969)]
    remember([*found, Measurement("nested", "broken")], checkpoint, "cpu")
    assert best_preset(checkpoint, "cpu") == "sdpa"


def test_what_auto_must_not_choose_is_not_chosen(checkpoint):
    remember([good("openvino", 0.2), good("openvino-int8", 0.1)], checkpoint, "cpu")
    assert best_preset(checkpoint, "cpu") == "openvino"


def test_boxes_count_too(checkpoint):
    found = [good("eager", 0.50), good("sdpa", 0.45, decode=0.1)]
    remember(found, checkpoint, "cpu")
    assert best_preset(checkpoint, "cpu") == "eager"


def test_a_preset_that_is_gone_is_not_chosen(checkpoint, monkeypatch):
    remember([good("sdpa", 0.5), good("compile", 0.1)], checkpoint, "cpu")
    monkeypatch.setattr(choose, "unavailable", lambda name, _: "no" if name == "compile" else None)
    assert best_preset(checkpoint, "cpu") == "sdpa"


def test_the_start_on_a_processor_is_never_emulated(monkeypatch):
    """OpenVINO computes in float32 where there are no two-byte units; torch would emulate them."""
    assert sensible_start("cpu") == "openvino"
    monkeypatch.setattr(choose, "unavailable", lambda *_: "OpenVINO is not installed")
    assert sensible_start("cpu") == "sdpa"


def test_what_this_processor_only_emulates_is_not_chosen(checkpoint, monkeypatch):
    """By its flags, whatever was measured."""
    remember([good("eager", 1.3), good("bf16", 0.1)], checkpoint, "cpu")
    monkeypatch.setattr(choose, "emulated", lambda name, _: None)
    assert best_preset(checkpoint, "cpu") == "bf16"
    monkeypatch.setattr(choose, "emulated", lambda name, _: "slow" if name == "bf16" else None)
    assert best_preset(checkpoint, "cpu") == "eager"


@pytest.mark.parametrize("shadow", [False, True], ids=["empty", "a file in its place"])
def test_a_cache_folder_that_cannot_be_used_fails_nothing(checkpoint, own_cache, shadow):
    if shadow:
        own_cache.write_text("in the way")
    assert best_preset(checkpoint, "cpu") == "openvino"
    remember([good("sdpa", 0.1)], checkpoint, "cpu")
    assert best_preset(checkpoint, "cpu") == ("openvino" if shadow else "sdpa")
    assert memory_file(checkpoint, "cpu").exists() is not shadow
