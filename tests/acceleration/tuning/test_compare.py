import numpy as np
import pytest

from napari_medsam_lite.acceleration.tuning.compare import measure_presets, synthetic_case
from napari_medsam_lite.acceleration.tuning.measurement import Measurement
from napari_medsam_lite.acceleration.tuning.remembered import remembered
from napari_medsam_lite.core.errors import MedSAMLiteError

pytestmark = pytest.mark.usefixtures("own_cache")


def test_it_tells_what_goes_on_answers_and_refuses(checkpoint, child):
    items = list(measure_presets(checkpoint, "cpu", presets=["sdpa", "cuda-max"]))
    found = [item for item in items if isinstance(item, Measurement)]
    assert [row.preset for row in found] == ["eager", "sdpa", "cuda-max"]
    assert found[1] == Measurement("sdpa", None, "CPU", 1.0, 0.1, 0.5, 7, 1.0)
    assert "not on cpu" in found[2].reason
    said = [item for item in items if isinstance(item, str)]
    assert "measuring eager: running" in said
    assert "measuring sdpa: running" in said


def measured(checkpoint, presets, stop_slow=True):
    items = measure_presets(checkpoint, "cpu", presets=presets, stop_slow=stop_slow)
    return {item.preset: item for item in items if isinstance(item, Measurement)}


def test_what_is_twice_as_slow_as_the_best_is_stopped(checkpoint, racing_child):
    racing_child(sdpa=0.4, nested=1.21, bf16=1.19)
    found = measured(checkpoint, ["sdpa", "nested", "bf16"])
    assert list(found) == ["eager", "sdpa", "nested", "bf16"]
    assert found["nested"].stopped
    assert found["nested"].reason == "Stopped: a slice takes 3.0 x as long as with sdpa."
    assert found["nested"].warning == found["nested"].reason
    assert (found["nested"].encode, found["nested"].agreement) == (1.21, 0)
    assert found["bf16"].reason is None, "below twice the best's slice with its boxes"


def test_what_was_named_is_measured_to_the_end(checkpoint, racing_child):
    racing_child(sdpa=0.1, nested=50.0)
    assert measured(checkpoint, ["sdpa", "nested"], stop_slow=False)["nested"].reason is None


@pytest.mark.parametrize("fast", ["openvino-int8", "sdpa"], ids=["not for auto", "other masks"])
def test_what_auto_cannot_choose_stops_no_other(checkpoint, racing_child, fast):
    racing_child(wrong=("sdpa",), **{fast: 0.01})
    found = measured(checkpoint, [fast, "nested"])
    assert found[fast].encode == 0.01
    assert found["nested"].reason is None


def test_measuring_remembers_nothing(checkpoint, child):
    list(measure_presets(checkpoint, "cpu", presets=["eager"]))
    assert remembered(checkpoint, "cpu") == {}


def test_a_crash_falls_out_with_its_reason(checkpoint, child):
    child.body = "sys.exit('Illegal instruction')"
    with pytest.raises(MedSAMLiteError, match=r"eager cannot be measured.*Illegal instruction"):
        list(measure_presets(checkpoint, "cpu", presets=["sdpa"]))


def test_synthetic_case_fits_together():
    case = synthetic_case()
    assert len(case.owners) == len(case.boxes) == 8
    assert case.owners.max() < len(case.frames)
    assert case.frames.dtype == np.float32


@pytest.mark.slow
def test_the_real_process_measures_the_real_network(checkpoint):
    """The reference alone; the benchmark's own test measures a preset beside it."""
    case = synthetic_case(frames=1)
    items = measure_presets(checkpoint, "cpu", case, ["eager"])
    (found,) = (item for item in items if isinstance(item, Measurement))
    assert found.reason is None
    assert 0 < found.decode < found.encode
    assert found.load > 0
    assert found.memory > 100 * 2**20
    assert "threads" in found.device
    assert found.agreement == 1
