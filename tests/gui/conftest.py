"""A viewer without a window, and an engine that answers at once."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_medsam_lite.core.errors import BackendUnavailableError
from napari_medsam_lite.engine.propagation import plan
from napari_medsam_lite.gui.session.controller import SessionController
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.gui.session.work import Work
from napari_medsam_lite.gui.thread.runner import THREAD_NAME
from napari_medsam_lite.gui.viewer.box_layer import rectangle
from napari_medsam_lite.gui.viewer.geometry import Plane


@dataclass
class Answer:
    object: int
    index: int
    window: tuple[slice, slice]
    patch: np.ndarray


class FakePredictor:
    """Takes every box for the mask; `ends` is the last slice that holds an object."""

    checkpoint = SimpleNamespace(notice=None)

    def __init__(self, preset: str, device: str) -> None:
        self.wanted = (preset, device)
        self.volumes: list[tuple] = []
        self.thread = None
        self.ends = 10**6
        self.empty = False
        self.cache = SimpleNamespace(disk=None)
        self.loading = threading.Semaphore(10**6)
        self.gate = threading.Semaphore(10**6)
        self.ahead = threading.Semaphore(10**6)
        self.encoded: list[int] = []

    def use(self, preset: str, device: str) -> None:
        self.wanted = (preset, device)

    def load(self, progress) -> None:
        progress("compiling, once")
        self.loading.acquire()

    @property
    def preset(self) -> str:
        self.thread = threading.current_thread()
        if self.wanted[1] == "cuda":
            raise BackendUnavailableError("The device 'cuda' is not available here.")
        return "sdpa" if self.wanted[0] == "auto" else self.wanted[0]

    @property
    def device(self) -> str:
        return "a fake CPU"

    def set_volume(self, volume, window, axis) -> None:
        assert threading.current_thread().name == THREAD_NAME
        self.volumes.append((volume, window, axis))

    def count_slices(self, boxes) -> int:
        axis = self.volumes[-1][2]
        return sum(len(up) + len(down) for up, down in (plan(b, axis) for b in boxes))

    def segment_slice(self, index, boxes):
        for i, box in enumerate(boxes):
            yield self._answer(i, index, box)

    def propagate_in_volume(self, boxes, propagation):
        assert propagation == "guided"
        axis = self.volumes[-1][2]
        for i, box in enumerate(boxes):
            up, down = plan(box, axis)
            for index in (*up, *down):
                if index <= self.ends:
                    yield self._answer(i, index, box.plane(axis))

    def encode_outwards(self, start):
        assert threading.current_thread().name == THREAD_NAME
        self.encoded.append(start)
        for ready in range(1, 9):
            self.ahead.acquire()
            yield ready

    def _answer(self, i, index, box):
        self.gate.acquire()
        patch = np.full((box.y1 - box.y0 + 1, box.x1 - box.x0 + 1), not self.empty)
        window = slice(box.y0, box.y1 + 1), slice(box.x0, box.x1 + 1)
        return Answer(i, index, window, patch)


@pytest.fixture(autouse=True)
def no_leaked_threads():
    yield
    end = time.monotonic() + 5
    while time.monotonic() < end:
        left = [t for t in threading.enumerate() if t.name == THREAD_NAME]
        if not left:
            return
        time.sleep(0.01)
    pytest.fail(f"threads left behind: {left}")


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def predictor():
    predictor = FakePredictor("auto", "auto")
    yield predictor
    for held in (predictor.loading, predictor.gate, predictor.ahead):
        held.release(1000)  # a test that failed leaves no thread waiting


@pytest.fixture
def work(predictor):
    return Work(lambda preset, device: predictor)


@pytest.fixture
def session(qtbot, viewer, work):
    session = SessionController(viewer, SessionState(), work)
    yield session
    session.close()


@pytest.fixture
def image(viewer):
    data = np.random.default_rng(0).integers(-1000, 1000, (8, 20, 30), np.int16)
    return viewer.add_image(data, name="CT", scale=(3, 0.8, 0.8), translate=(5, -7, 11))


@pytest.fixture
def draw(session, image):
    """Add boxes as if drawn on a slice."""

    def draw(*boxes, axis=0, index=4):
        shapes = session.companions.boxes_made(session.state.image)
        for box in boxes:
            corners = rectangle(box, Plane(axis, index), shapes.ndim)
            shapes.add_rectangles(corners)
        return shapes

    return draw


@pytest.fixture
def finish(session, qtbot):
    """Wait until the run in flight has ended."""

    def finish():
        qtbot.waitUntil(lambda: not session.state.busy, timeout=5000)

    return finish
