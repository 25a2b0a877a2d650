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
