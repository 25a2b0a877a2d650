from napari_medsam_lite.acceleration.tuning.calibrate import calibrate
from napari_medsam_lite.acceleration.tuning.measurement import Measurement
from napari_medsam_lite.acceleration.tuning.remembered import remembered


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
