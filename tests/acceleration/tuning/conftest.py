"""A small program in place of the process that measures."""

import json
import sys

import pytest

from napari_medsam_lite.acceleration.tuning import compare

ANSWER = {"encode": 1.0, "decode": 0.1, "load": 0.5, "memory": 7, "device": "CPU"}


class Child:
    """Starts what its `body` says; `started` are the processes."""

    def __init__(self) -> None:
        self.body = (
            "import numpy; numpy.save(job['answer'], numpy.ones((8, 4, 4), bool));"
            f"print(json.dumps(dict(progress='running'))); print(json.dumps({ANSWER!r}))"
        )
        self.started = []
        self._popen = compare.subprocess.Popen

    def start(self, command, **options):
        code = "import json, sys; job = json.load(open(sys.argv[1]));" + self.body
        self.started.append(self._popen([sys.executable, "-c", code, command[-1]], **options))
        return self.started[-1]


@pytest.fixture
def child(monkeypatch):
    child = Child()
    monkeypatch.setattr(compare.subprocess, "Popen", child.start)
    return child


@pytest.fixture
def slow_child(child):
    """One that answers for `eager` alone."""
    child.body = (
        "import numpy, time; numpy.save(job['answer'], numpy.ones((8, 4, 4), bool));"
        f"job['preset'] == 'eager' or time.sleep(600); print({json.dumps(ANSWER)!r})"
    )
    return child


@pytest.fixture
def racing_child(child):
    """One whose `seconds` a slice depend on the preset, and that gives up at the limit."""

    def race(wrong=(), **seconds):
        child.body = (
            "import numpy; masks = numpy.ones((8, 4, 4), bool);"
            f"masks[:, :2] = job['preset'] not in {wrong!r};"
            f"answer = {ANSWER!r} | dict(encode={seconds!r}.get(job['preset'], 1.0));"
            "stops = job['limit'] is not None and answer['encode'] > job['limit'];"
            "stops or numpy.save(job['answer'], masks);"
            "print(json.dumps(answer | (dict(decode=0.0) if stops else {})))"
        )
        return child

    return race
