import pytest

from napari_medsam_lite.acceleration.choose import best_preset
from napari_medsam_lite.acceleration.tuning import calibrate as module
from napari_medsam_lite.acceleration.tuning import compare
from napari_medsam_lite.acceleration.tuning.calibrate import calibrate, find_fastest, left_out
from napari_medsam_lite.acceleration.tuning.measurement import Measurement
from napari_medsam_lite.acceleration.tuning.remembered import remember, remembered


def test_each_answer_is_remembered(checkpoint, child, own_cache):
    found = [
        item
        for item in calibrate(checkpoint, "cpu", presets=["sdpa", "cuda-max"])
        if isinstance(item, Measurement)
    ]
    assert list(remembered(checkpoint, "cpu").values()) == found
    assert [row.preset for row in found] == ["eager", "sdpa", "cuda-max"]


def test_stopping_ends_the_process_and_leaves_what_is_done(checkpoint, slow_child, own_cache):
    items = calibrate(checkpoint, "cpu")
    for item in items:
        if item == "measuring sdpa" and len(slow_child.started) == 2:
            break
    items.close()
    assert slow_child.started[1].poll() is not None
    assert list(remembered(checkpoint, "cpu")) == ["eager"]


def test_a_cache_that_cannot_be_written_fails_no_measurement(checkpoint, child, own_cache):
    own_cache.write_text("in the way")
    items = list(calibrate(checkpoint, "cpu", presets=["sdpa"]))
    assert [row.preset for row in items if isinstance(row, Measurement)] == ["eager", "sdpa"]


@pytest.fixture
def avx2(monkeypatch):
    """A processor on which all presets run but those for a GPU, and some are emulated."""

    def unavailable(name, _):
        return "no GPU" if name in GPU else None

    monkeypatch.setattr(module, "emulated", lambda name, _: "slow" if name in EMULATED else None)
    monkeypatch.setattr(module, "unavailable", unavailable)
    monkeypatch.setattr(compare, "unavailable", unavailable)


GPU = ["sparse-2-4", "cuda-max"]
BUILT = ["compile", "int8-weight-only", "openvino-int8"]
EMULATED = ["int8-dynamic", "bf16"]


def test_the_fastest_is_found_without_what_is_built_or_emulated(
    checkpoint, racing_child, own_cache, avx2
):
    child = racing_child(openvino=0.1, sdpa=0.5, nested=0.7)
    found = [item for item in find_fastest(checkpoint, "cpu") if isinstance(item, Measurement)]
    out, tried = found[:5], found[5:]
    assert {row.preset for row in out} == {*BUILT, *EMULATED}
    assert {row.reason for row in out if row.preset in EMULATED} == {"slow"}
    runs = [row.preset for row in tried if row.preset not in GPU]
    assert runs == ["eager", "openvino", "sdpa", "nested"]
    assert len(child.started) == len(runs)
    assert [row.preset for row in tried if row.stopped] == ["nested"]
    assert remembered(checkpoint, "cpu").keys() == {row.preset for row in tried}
    assert best_preset(checkpoint, "cpu") == "openvino"


def test_what_is_built_is_measured_if_asked_and_from_then_on(
    checkpoint, racing_child, own_cache, avx2
):
    racing_child(compile=0.2)
    assert "--build" in left_out("compile", checkpoint, "cpu")
    assert left_out("compile", checkpoint, "cpu", build=True) is None
    items = list(find_fastest(checkpoint, "cpu", build=True))
    found = {item.preset: item for item in items if isinstance(item, Measurement)}
    assert [name for name, row in found.items() if row.reason == "slow"] == EMULATED
    assert all(found[name].encode > 0 for name in BUILT)
    assert best_preset(checkpoint, "cpu") == "compile"
    assert left_out("compile", checkpoint, "cpu") is None
    assert left_out("compile", checkpoint, "auto") is not None


def test_a_build_that_failed_is_not_tried_again_unasked(checkpoint, own_cache, avx2):
    remember([Measurement("compile", "torch.compile failed: no space")], checkpoint, "cpu")
    assert "--build" in left_out("compile", checkpoint, "cpu")


def test_what_cannot_run_is_not_left_out_but_refused(checkpoint, own_cache, avx2):
    assert left_out("cuda-max", checkpoint, "cpu") is None
