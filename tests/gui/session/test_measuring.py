import pytest

from napari_medsam_lite.acceleration.presets import PRESETS
from napari_medsam_lite.acceleration.tuning.measurement import Measurement
from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.gui.session.measuring import Chosen, Measuring
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.gui.thread.runner import JobRunner


@pytest.fixture
def runner(qtbot):
    runner = JobRunner()
    yield runner
    runner.close()


def measured(runner, qtbot, measure, state=None):
    state = state or SessionState()
    calls = []
    measuring = Measuring(runner, state, lambda: calls.append("finished"), measure)
    measuring.start()
    assert state.busy
    assert state.total == len(PRESETS)
    qtbot.waitUntil(lambda: not state.busy)
    return state, calls


def test_the_outcome_is_told(runner, qtbot):
    def measure(device):
        yield f"measuring eager on {device}"
        yield Measurement("eager")
        yield Measurement("sdpa")
        yield Chosen("sdpa", 0.5, 0.0214)

    state, calls = measured(runner, qtbot, measure)
    assert state.message == "Auto is sdpa on this computer: 0.50 s a slice, 21 ms a box."
    assert state.done == 2
    assert calls == ["finished"]


def test_a_failure_is_told(runner, qtbot):
    def measure(_):
        yield "measuring eager"
        raise MedSAMLiteError("eager cannot be measured: no reason.")

    state, _ = measured(runner, qtbot, measure)
    assert state.is_problem
    assert state.message == "eager cannot be measured: no reason."


def test_cancel(runner, qtbot):
    state = SessionState()

    def measure(_):
        while True:
            yield "measuring eager"

    measuring = Measuring(runner, state, lambda: None, measure)
    measuring.start()
    with pytest.raises(MedSAMLiteError, match="in progress"):
        measuring.start()
    runner.cancel()
    assert not state.busy
    assert "remembered" in state.message


def test_other_jobs_are_none_of_its_business(runner, qtbot):
    state = SessionState()
    Measuring(runner, state, lambda: pytest.fail("not ours"), lambda _: iter(()))
    runner.start(lambda: iter(["something else"]))
    qtbot.waitUntil(lambda: not runner.busy)
    assert state.done == 0
