from dataclasses import replace

import numpy as np
import pytest

from napari_medsam_lite.gui.session import case_ahead
from napari_medsam_lite.gui.session.case_ahead import CaseAhead
from napari_medsam_lite.gui.session.state import AS_SHOWN, SessionState
from napari_medsam_lite.gui.session.worklist_state import WorklistState
from napari_medsam_lite.gui.thread.task import Task
from napari_medsam_lite.io.work_case import rows_of
from napari_medsam_lite.io.worklist import read_worklist


@pytest.fixture
def shown(tmp_path):
    """Three cases with a box each, the first of them open."""
    for name in "abc":
        data = np.random.default_rng(ord(name)).integers(0, 200, (4, 20, 30), np.uint8)
        boxes = np.array([[4, 3, 0, 11, 9, 1]])
        np.savez(tmp_path / f"{name}.npz", imgs=data, spacing=[5.0, 1, 1], boxes=boxes)
    return WorklistState("cases", tuple(rows_of(read_worklist(tmp_path))), current=0)


@pytest.fixture
def state():
    return SessionState()


@pytest.fixture
def ahead(qtbot, state, runner, engine, own_cache, monkeypatch):
    monkeypatch.setattr(case_ahead, "PAUSE_MS", 10)
    ahead = CaseAhead(state, runner, engine)
    runner.join()
    yield ahead
    ahead.stop()
    runner.leave()


def names(segmenter):
    return [prepared.volume.name for prepared in segmenter.prepared]


def test_the_next_free_case_is_read_and_asked(ahead, shown, state, segmenter, qtbot):
    second, third = shown.rows[1:]
    second.case.mark("done")
    shown.put(replace(second, status=second.case.status()))
    assert second.case != third.case == (ahead.start(shown), ahead.upcoming)[1]
    qtbot.waitUntil(lambda: state.ahead == "The next case: 2 masks are prepared.")
    assert names(segmenter) == ["c"]
    found = ahead.take(third.case)
    assert found.contents.volume.name == "c"
    assert ahead.take(third.case) is None  # one volume at most is kept


def test_without_a_next_case_it_is_looked_alone(ahead, shown, segmenter, qtbot, monkeypatch):
    monkeypatch.setattr(case_ahead, "LOOK_S", 0.0)
    shown.current = 2
    ahead.start(shown)
    shown.rows[0].case.mark("begun")
    qtbot.waitUntil(lambda: shown.rows[0].status.standing == "begun")
    assert ahead.upcoming is None
    assert not segmenter.prepared


@pytest.mark.parametrize("choice", [{"read_ahead": False}, {"window": AS_SHOWN}])
def test_nothing_is_computed_where_it_would_not_serve(
    ahead, shown, state, segmenter, qtbot, choice
):
    for name, value in choice.items():
        setattr(state, name, value)
    ahead.start(shown)
    qtbot.waitUntil(lambda: ahead._ready is not None)
    assert not segmenter.prepared
    assert ahead.take(shown.rows[1].case) is not None


def test_other_work_goes_first(ahead, shown, runner, qtbot, segmenter):
    class Idle(Task):
        def work(self):
            while True:
                yield

    idle = Idle()
    runner.idle(idle)
    ahead.start(shown)
    qtbot.wait(100)
    assert not segmenter.prepared
    runner.stop_idle(idle)
    qtbot.waitUntil(lambda: names(segmenter) == ["b"])


def test_a_case_that_cannot_be_read_is_nobody_s_trouble(ahead, shown, state, qtbot, runner):
    shown.rows[1].case.source.write_bytes(b"no image")
    ahead.start(shown)
    qtbot.waitUntil(lambda: ahead._ready is not None)  # it is not tried again and again
    assert not runner.idling
    assert not state.is_problem
    assert ahead.take(shown.rows[1].case) is None
