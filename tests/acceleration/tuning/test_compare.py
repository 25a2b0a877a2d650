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
def test_the_real_process_measures_a_real_preset(checkpoint):
    """`sdpa` gives the masks of `eager`; both are measured in processes of their own."""
    case = synthetic_case(frames=1)
    found = [
        item
        for item in measure_presets(checkpoint, "cpu", case, ["sdpa"])
        if isinstance(item, Measurement)
    ]
    assert [row.preset for row in found] == ["eager", "sdpa"]
    for row in found:
        assert row.reason is None
        assert 0 < row.decode < row.encode < row.load + 60
        assert row.memory > 100 * 2**20
        assert "threads" in row.device
    assert found[0].agreement == 1
    assert found[1].agreement > 0.999
