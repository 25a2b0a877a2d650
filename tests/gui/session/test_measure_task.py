from functools import partial

import pytest

from napari_medsam_lite.acceleration.presets import PRESETS
from napari_medsam_lite.acceleration.tuning.measurement import Measurement
from napari_medsam_lite.core.boxes import Box2D
from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.gui.session import controller
from napari_medsam_lite.gui.session.measure_task import Chosen, MeasureTask


@pytest.fixture
def measure(session, monkeypatch, qtbot):
    """Press Measure presets, and let this be what measures."""

    def press(measure):
        monkeypatch.setattr(controller, "MeasureTask", partial(MeasureTask, measure=measure))
        session.measure_presets()
        return session.state

    return press


def test_the_outcome_is_told(measure, session, segmenter, image, draw, finish):
    draw(Box2D(2, 3, 7, 6))
    session.segment_volume()
    finish()

    def few(device):
        yield f"measuring eager on {device}"
        yield Measurement("eager")
        yield Measurement("sdpa")
        yield Chosen("sdpa", 0.5, 0.0214)

    state = measure(few)
    assert (state.busy, state.total) == (True, len(PRESETS))
    finish()
    assert state.message == "Auto is sdpa on this computer: 0.50 s a slice, 21 ms a box."
    assert state.done == 2
    assert segmenter.chosen_again == 1, "the network may be another, the embeddings stay"
    assert len(state.history) == 1, "a measurement is no run"


def test_a_failure_is_told(measure, finish):
    def fail(_):
        yield "measuring eager"
        raise MedSAMLiteError("eager cannot be measured: no reason.")

    state = measure(fail)
    finish()
    assert state.is_problem
    assert state.message == "eager cannot be measured: no reason."


def test_cancel(measure, session, qtbot):
    def endless(_):
        while True:
            yield "measuring eager"

    state = measure(endless)
    session.measure_presets()
    assert "A run is in progress" in state.message
    session.cancel()
    assert not state.busy
    assert "remembered" in state.message
