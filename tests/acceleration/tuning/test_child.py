import json
import sys
from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pytest

from napari_medsam_lite.acceleration.tuning import child
from napari_medsam_lite.acceleration.tuning.child import ChildJob, Stopwatch, measure
from napari_medsam_lite.acceleration.tuning.compare import synthetic_case
from napari_medsam_lite.core.errors import BackendUnavailableError

FRAMES, BOXES = 3, 6


class Backend:
    """Each slice takes `seconds`, each batch of boxes a tenth; a mask is a box's number."""

    device = "a fake CPU"

    def __init__(self, clock, seconds):
        self.clock, self.seconds = clock, seconds
        self.encoded, self.decoded = [], []

    def prepare(self, side, progress):
        assert side == 256

    def encode_images(self, frames):
        self.clock.now += self.seconds * (2 if not self.encoded else 1)
        self.encoded.append(len(frames))
        return [len(self.encoded) - 1]

    def decode_boxes(self, embeddings, boxes):
        self.clock.now += self.seconds / 10
        self.decoded.append(list(embeddings))
        return np.ones((len(boxes), 4, 4), np.float32), np.ones(len(boxes), np.float32)


@pytest.fixture
def job(tmp_path, checkpoint):
    np.savez(tmp_path / "case.npz", **asdict(synthetic_case(FRAMES)))

    def job(limit=None):
        files = str(tmp_path / "case.npz"), str(tmp_path / "masks.npy")
        return ChildJob("sdpa", "cpu", str(checkpoint.path), *files, limit)

    return job


@pytest.fixture
def backend(monkeypatch):
    """What is loaded, with a clock that only its work moves."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(child.time, "perf_counter", lambda: clock.now)

    def backend(seconds):
        made = Backend(clock, seconds)
        monkeypatch.setattr(child, "load_backend", lambda *_, **__: made)
        return made

    return backend


def test_short_work_is_repeated(job, backend, tmp_path):
    made = backend(0.01)
    speed = measure(job())
    assert len(made.encoded) == child.REPEATS
    assert speed.encode == pytest.approx(0.01), "the first, slower one does not count"
    assert speed.decode == pytest.approx(0.001 / child.BATCH)
    assert made.decoded[0] == [0, 0, 1, 1, 2, 2]
    assert all(len(batch) == child.BATCH for batch in made.decoded[1:])
    assert np.load(tmp_path / "masks.npy").shape == (BOXES, 4, 4)
    assert (speed.device, speed.memory > -(2**40)) == ("a fake CPU", True)


def test_long_work_is_not(job, backend):
    made = backend(6.0)
    speed = measure(job(limit=6.0))
    assert len(made.encoded) == FRAMES
    assert len(made.decoded) == 2, "the masks, and one full batch for its time"
    assert (speed.encode, speed.decode) == pytest.approx((6.0, 0.6 / child.BATCH))


def test_beyond_the_limit_it_gives_up_after_two_slices(job, backend, tmp_path):
    made = backend(6.0)
    speed = measure(job(limit=5.9))
    assert (len(made.encoded), made.decoded) == (2, [])
    assert (speed.encode, speed.decode) == (pytest.approx(6.0), 0)
    assert not (tmp_path / "masks.npy").exists()


def test_a_stopwatch_that_timed_nothing():
    assert Stopwatch().best == 0


def lines(job, tmp_path, monkeypatch, capsys):
    file = tmp_path / "job.json"
    file.write_text(json.dumps(asdict(job)))
    monkeypatch.setattr(sys, "argv", ["child", str(file)])
    child.main()
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_it_tells_how_long_it_took_to_be_ready(job, backend, tmp_path, monkeypatch, capsys):
    backend(0.01)
    *told, answer = lines(job(limit=1.0), tmp_path, monkeypatch, capsys)
    assert told == [{"progress": "ready after 0 s"}]
    assert answer["encode"] == pytest.approx(0.01)


def test_a_refusal_is_an_answer(job, tmp_path, monkeypatch, capsys):
    def refuse(*_, **__):
        raise BackendUnavailableError("No compiler.")

    monkeypatch.setattr(child, "load_backend", refuse)
    assert lines(job(), tmp_path, monkeypatch, capsys) == [{"reason": "No compiler."}]
