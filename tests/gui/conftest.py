"""A viewer without a window, and an engine that answers at once."""

from __future__ import annotations

import threading
import time
from importlib import import_module
from importlib.resources import files
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest
from napari.components import ViewerModel
from npe2 import PluginManifest

from napari_medsam_lite.core.boxes import Box2D
from napari_medsam_lite.core.errors import BackendUnavailableError
from napari_medsam_lite.engine.propagation.published import plan
from napari_medsam_lite.engine.propagation.slice_mask import SliceMask
from napari_medsam_lite.gui.session.controller import SessionController
from napari_medsam_lite.gui.session.engine import SessionEngine
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.gui.thread.runner import JobRunner
from napari_medsam_lite.gui.thread.worker import THREAD_NAME
from napari_medsam_lite.gui.viewer.drawn_boxes import rectangle
from napari_medsam_lite.gui.viewer.geometry import Plane


class FakeSegmenter:
    """Takes every box for the mask; `ends` is the last slice that holds an object."""

    def __init__(self) -> None:
        self.wanted: tuple = ()
        self.prepared: list = []
        self.thread = None
        self.ends = 10**6
        self.empty = False
        self.notice = None
        self.cache = SimpleNamespace(disk=None)
        self.loading = threading.Semaphore(10**6)
        self.gate = threading.Semaphore(10**6)
        self.ahead = threading.Semaphore(10**6)
        self.encoded: list[int] = []
        self.drawn: list[tuple] = []
        self.live: list[tuple] = []
        self.has_looks = False
        self.interrupted = 0
        self.chosen_again = 0

    def use(self, preset, device, checkpoint) -> None:
        self.wanted = (preset, device)

    def load(self, progress=lambda _: None, sides=()):
        self.thread = threading.current_thread()
        progress("compiling, once")
        self.loading.acquire()
        preset, device = self.wanted
        if device == "cuda":
            raise BackendUnavailableError("The device 'cuda' is not available here.")
        return SimpleNamespace(
            preset=SimpleNamespace(name="sdpa" if preset == "auto" else preset),
            device="a fake CPU",
            target="cpu",
            checkpoint=SimpleNamespace(notice=self.notice, sha256="0" * 64),
        )

    def segment_slice(self, prepared, index, boxes, detail, timings=None):
        assert threading.current_thread().name == THREAD_NAME
        self.live.append((index, list(boxes)))
        for i, box in enumerate(boxes):
            yield self._answer(i, index, box, prepared)

    def is_encoded(self, prepared, index, boxes, detail):
        return not self.has_looks

    def glance(self, prepared, index, boxes, detail):
        """A pixel less on each side."""
        if not self.has_looks:
            return []
        inner = [Box2D(box.y0 + 1, box.x0 + 1, box.y1 - 1, box.x1 - 1) for box in boxes]
        return [self._mask(i, index, box, prepared) for i, box in enumerate(inner)]

    def segment(self, prepared, segments, settings, timings=None, answered=None):
        assert threading.current_thread().name == THREAD_NAME
        assert settings.propagation == "guided"
        self.prepared.append(prepared)
        for i, segment in enumerate(segments):
            for box in segment.boxes:
                up, down = plan(box, prepared.axis)
                for index in (*up, *down):
                    if index <= self.ends:
                        yield self._answer(i, index, box.plane(prepared.axis), prepared)

    def encode(self, prepared, looks):
        assert threading.current_thread().name == THREAD_NAME
        self.drawn.append(looks)
        self.gate.acquire()

    def encode_outwards(self, prepared, start, boxes, detail, unwanted):
        assert threading.current_thread().name == THREAD_NAME
        self.encoded.append(start)
        for ready in range(1, 9):
            self.ahead.acquire()
            yield ready

    def choose_again(self) -> None:
        assert threading.current_thread().name == THREAD_NAME
        self.chosen_again += 1

    def interrupt(self) -> None:
        self.interrupted += 1

    def _answer(self, i, index, box, prepared):
        self.gate.acquire()
        return self._mask(i, index, box, prepared)

    def _mask(self, i, index, box, prepared):
        height, width = box.y1 - box.y0 + 1, box.x1 - box.x0 + 1
        logits = np.full((height, width), -1 if self.empty else 1, np.float32)
        frame = prepared.frame
        return SliceMask(i, index, 0.9, (box.y0, box.x0), logits, (frame.height, frame.width))


@pytest.fixture(autouse=True)
def no_leaked_threads():
    yield
    end = time.monotonic() + 60
    while time.monotonic() < end:
        left = [t for t in threading.enumerate() if t.name.startswith(THREAD_NAME)]
        if not left:
            return
        time.sleep(0.01)
    pytest.fail(f"threads left behind: {left}")


@pytest.fixture(autouse=True)
def no_early_imports(monkeypatch):
    """All is imported here, and the tests look at the idle work that they have asked for."""
    monkeypatch.setattr(SessionController, "_preload", lambda _: None)


@pytest.fixture(autouse=True)
def page(monkeypatch):
    """The page of napari's preferences, the test's own; None if this napari has none."""
    if find_spec("napari.settings._plugin_config_generator") is None:
        return None
    generator = import_module("napari.settings._plugin_config_generator")
    manifest = PluginManifest.from_file(files("napari_medsam_lite") / "napari.yaml")
    manager = SimpleNamespace(iter_manifests=lambda **_: [manifest])
    found = generator.plugin_configuration_generator(manager)[manifest.name](config_path=None)
    monkeypatch.setattr("napari.settings.get_plugin_settings", lambda _: found)
    return found


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def segmenter():
    segmenter = FakeSegmenter()
    yield segmenter
    for held in (segmenter.loading, segmenter.gate, segmenter.ahead):
        held.release(1000)  # a test that failed leaves no thread waiting


@pytest.fixture
def engine(segmenter):
    return SessionEngine(lambda: segmenter)


@pytest.fixture
def runner():
    return JobRunner()


@pytest.fixture
def answers():
    """What the user answers to the questions that come, and the questions that came."""
    return SimpleNamespace(yes=False, questions=[])


@pytest.fixture
def open_session(qtbot, viewer, engine, runner, answers):
    """Open sessions on the viewer, as docks do."""
    opened = []

    def ask(question):
        answers.questions.append(question)
        return answers.yes

    def open_session(engine=engine):
        session = SessionController(viewer, SessionState(live=False), engine, runner, ask)
        session.open()
        opened.append(session)
        return session

    yield open_session
    for session in opened:
        session.close()


@pytest.fixture
def session(open_session):
    return open_session()


@pytest.fixture
def image(viewer):
    data = np.random.default_rng(0).integers(-1000, 1000, (8, 20, 30), np.int16)
    return viewer.add_image(data, name="CT", scale=(3, 0.8, 0.8), translate=(5, -7, 11))


@pytest.fixture
def draw(session, image):
    """Add boxes as if drawn on a slice, each for a segment of its own unless `together`."""

    def draw(*boxes, axis=0, index=4, together=False):
        shapes = session.layers.boxes_made(session.state.image)
        for box in boxes:
            if len(shapes.data) and not together:
                session.segments.begin()
            corners = rectangle(box, Plane(axis, index), shapes.ndim)
            shapes.add_rectangles(corners)
        return shapes

    return draw


@pytest.fixture
def finish(session, qtbot):
    """Wait until the run in flight has ended."""

    def finish():
        qtbot.waitUntil(lambda: not session.state.busy)

    return finish


@pytest.fixture
def live(session, image, viewer, qtbot):
    """The session with live answers, on slice 4; called, it waits for the answer on its way."""
    session.state.live, session.state.read_ahead = True, False
    viewer.dims.set_current_step(0, 4)

    def wait():
        qtbot.waitUntil(lambda: not session.runs.live.waits)

    return wait
