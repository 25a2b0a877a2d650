import gc
import weakref
from functools import partial

import numpy as np
import pytest

from napari_medsam_lite.acceleration.presets import PRESETS
from napari_medsam_lite.acceleration.tuning.measurement import Measurement
from napari_medsam_lite.acceleration.tuning.remembered import remember
from napari_medsam_lite.core.boxes import Box2D
from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.engine import lazy_backend
from napari_medsam_lite.engine.segmenter import Segmenter
from napari_medsam_lite.gui.session import runs
from napari_medsam_lite.gui.session.engine import SessionEngine
from napari_medsam_lite.gui.session.measure_task import Chosen, MeasureTask
from napari_medsam_lite.gui.viewer.drawn_boxes import rectangle
from napari_medsam_lite.gui.viewer.geometry import Plane
from napari_medsam_lite.model.weights import find_checkpoint


@pytest.fixture
def measure(session, monkeypatch, qtbot):
    """Press Measure presets, and let this be what measures."""

    def press(measure):
        monkeypatch.setattr(runs, "MeasureTask", partial(MeasureTask, measure=measure))
        session.run_actions.measure_presets()
        return session.state

    return press


def test_the_outcome_is_told(measure, session, segmenter, image, draw, finish):
    draw(Box2D(2, 3, 7, 6))
    session.run_actions.segment_volume()
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
    session.run_actions.measure_presets()
    assert "A run is in progress" in state.message
    session.runs.cancel()
    assert not state.busy
    assert "remembered" in state.message


class Networks:
    """Loads the real ones, and looks who still lives when another comes."""

    def __init__(self, load):
        self._load = load
        self.names, self.beside = [], []
        self._made = []

    def load(self, preset, *rest):
        self.beside.append(self.living())
        backend = self._load(preset, *rest)
        self.names.append(preset)
        self._made.append(weakref.ref(backend))
        return backend

    def living(self):
        gc.collect()
        alive = zip(self.names, self._made, strict=True)
        return [name for name, backend in alive if backend() is not None]


@pytest.fixture
def networks(monkeypatch, own_cache):
    """What is loaded; `auto` is `eager` until something else was measured."""
    remember([Measurement("eager", encode=1.0, agreement=1.0)], find_checkpoint(), "cpu")
    networks = Networks(lazy_backend.load_backend)
    monkeypatch.setattr(lazy_backend, "load_backend", networks.load)
    return networks


@pytest.mark.parametrize("fastest", ["eager", "sdpa"])
def test_measured_while_the_real_network_reads_ahead(
    open_session, viewer, networks, monkeypatch, qtbot, fastest
):
    """Embeddings stay, `auto` is chosen anew, and never are two networks held."""
    made = []

    def make():
        made.append(Segmenter())
        return made[-1]

    session = open_session(SessionEngine(make))
    session.state.device = "cpu"
    voxels = np.random.default_rng(0).integers(-1000, 1000, (2, 180, 200), np.int16)
    viewer.add_image(voxels, name="CT")
    session.run_actions.add_boxes()
    viewer.layers["CT boxes"].add_rectangles(rectangle(Box2D(4, 5, 12, 16), Plane(0, 1)))
    viewer.dims.set_current_step(0, 1)
    session.run_actions.segment_slice()
    qtbot.waitUntil(lambda: session.state.ahead.startswith("Reading ahead: "), timeout=60_000)

    def encoded(preset):
        keys = made[-1].cache._entries
        return {key for key in keys if key.backend.startswith(f"{preset} on")}

    def measure(device):
        yield f"measuring on {device}"
        found = Measurement(fastest, encode=0.1, agreement=1.0)
        remember([found], find_checkpoint(), device)
        yield Chosen(fastest, found.encode, found.decode)

    monkeypatch.setattr(runs, "MeasureTask", partial(MeasureTask, measure=measure))
    before = encoded("eager")
    session.run_actions.measure_presets()
    qtbot.waitUntil(lambda: not session.state.busy, timeout=60_000)
    assert f"Auto is {fastest}" in session.state.message
    session.run_actions.segment_slice()
    qtbot.waitUntil(lambda: not session.state.busy, timeout=60_000)
    qtbot.waitUntil(lambda: len(encoded(fastest)) == 2, timeout=60_000)
    assert f"In use: {fastest} on" in session.state.in_use
    assert len(made) == 1
    assert before
    assert before <= encoded("eager")
    assert networks.names == list(dict.fromkeys(["eager", fastest]))
    assert networks.beside == [[] for _ in networks.names]
    assert networks.living() == [fastest]
