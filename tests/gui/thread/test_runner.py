import threading
import time

import pytest

from napari_medsam_lite.acceleration.torch.allocator import in_main_arena
from napari_medsam_lite.core.errors import DeviceMemoryError, Interrupted, MedSAMLiteError
from napari_medsam_lite.gui.thread import runner as jobs
from napari_medsam_lite.gui.thread.runner import THREAD_NAME, Ending, JobRunner


class Recorder:
    def __init__(self, runner):
        self.batches, self.endings = [], []
        runner.yielded.connect(self.batches.append)
        runner.ended.connect(self.endings.append)

    @property
    def items(self):
        return [item for batch in self.batches for item in batch]


@pytest.fixture
def runner(qtbot):
    runner = JobRunner()
    yield runner
    runner.close()


@pytest.fixture
def seen(runner):
    return Recorder(runner)


def run(runner, seen, qtbot, job):
    count = len(seen.endings)
    runner.start(job)
    qtbot.waitUntil(lambda: len(seen.endings) > count, timeout=5000)
    return seen.endings[-1]


def test_items_come_in_order_and_in_few_batches(runner, seen, qtbot):
    assert run(runner, seen, qtbot, lambda: iter(range(5000))) == Ending("finished")
    assert seen.items == list(range(5000))
    assert len(seen.batches) <= 3
    assert not runner.busy


def test_all_jobs_run_on_one_thread_off_the_main_one(runner, seen, qtbot):
    for _ in range(3):
        run(runner, seen, qtbot, lambda: iter([threading.current_thread()]))

    def where():
        yield threading.current_thread()

    run(runner, seen, qtbot, where)
    run(runner, seen, qtbot, where)
    assert seen.items[-1] is seen.items[-2]
    assert seen.items[-1].name == THREAD_NAME
    assert seen.items[-1] is not threading.main_thread()


def test_the_thread_uses_the_main_arena(runner, seen, qtbot):
    def where():
        yield in_main_arena()

    assert in_main_arena(), "the main thread always does"
    assert run(runner, seen, qtbot, where) == Ending("finished")
    assert seen.items == [True]


def test_no_right_thread_is_no_reason_to_wait(runner, seen, qtbot, monkeypatch):
    monkeypatch.setattr(jobs, "in_main_arena", lambda: False)
    assert run(runner, seen, qtbot, lambda: iter("x")) == Ending("finished")
    qtbot.waitUntil(lambda: len([t for t in threading.enumerate() if t.name == THREAD_NAME]) == 1)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (DeviceMemoryError("Too little memory."), "Too little memory."),
        (RuntimeError("shape\nmismatch"), "Something went wrong (RuntimeError: shape)."),
        (KeyError(), "Something went wrong (KeyError: )."),
        (SystemExit(3), "Something went wrong (SystemExit: 3)."),
        (StopIteration(), "Something went wrong (RuntimeError: generator raised StopIteration)."),
        (MemoryError(), "The computer ran out of memory; close programs and try again."),
    ],
)
def test_every_exception_becomes_one_sentence(runner, seen, qtbot, error, sentence):
    def job():
        yield "before"
        raise error

    assert run(runner, seen, qtbot, job) == Ending("failed", sentence)
    assert seen.items == ["before"]
    assert run(runner, seen, qtbot, lambda: iter("x")) == Ending("finished")


def test_error_before_the_first_item(runner, seen, qtbot):
    def job():
        raise MedSAMLiteError("No.")

    assert run(runner, seen, qtbot, job) == Ending("failed", "No.")


def test_second_job_is_refused_while_one_is_in_flight(runner, seen, qtbot):
    release = threading.Event()

    def job():
        release.wait(5)
        yield 1

    runner.start(job)
    with pytest.raises(MedSAMLiteError, match="in progress"):
        runner.start(job)
    release.set()
    qtbot.waitUntil(lambda: bool(seen.endings))
    assert seen.items == [1]


def test_cancel_keeps_what_is_done_and_drops_what_comes_late(runner, seen, qtbot):
    ready, release, closed = threading.Event(), threading.Event(), threading.Event()

    def job():
        try:
            yield "done"
            ready.set()
            release.wait(5)
            yield "late"
            yield "never"
        finally:
            closed.set()

    runner.start(job)
    assert ready.wait(5)
    runner.cancel()
    assert seen.items == ["done"]
    assert seen.endings == [Ending("cancelled")]
    assert not runner.busy
    # The next job may be asked for at once, while the thread is still in the old one.
    runner.start(lambda: iter(["next"]))
    release.set()
    qtbot.waitUntil(lambda: len(seen.endings) == 2)
    assert closed.is_set()
    assert seen.items == ["done", "next"]
    assert seen.endings[-1] == Ending("finished")


def test_cancel_from_a_listener_ends_once(runner, qtbot):
    endings = []
    runner.yielded.connect(lambda _: runner.cancel())
    runner.ended.connect(endings.append)
    runner.start(lambda: iter("abc"))
    qtbot.waitUntil(lambda: bool(endings))
    qtbot.wait(250)
    assert endings == [Ending("cancelled")]


def test_cancel_without_a_job_says_nothing(runner, seen):
    runner.cancel()
    assert seen.endings == []


def test_close_ends_the_thread_and_is_silent(runner, seen, qtbot):
    started = threading.Event()

    def job():
        started.set()
        while True:
            time.sleep(0.01)
            yield 1

    runner.start(job)
    assert started.wait(5)
    runner.close()
    before = len(seen.batches)
    qtbot.wait(250)
    assert len(seen.batches) == before
    assert seen.endings == []
    qtbot.waitUntil(lambda: not [t for t in threading.enumerate() if t.name == THREAD_NAME])
    assert run(runner, seen, qtbot, lambda: iter("x")) == Ending("finished")


def test_idle_work_goes_on_until_a_job_comes(runner, qtbot):
    steps, seen = [], []

    def idle():
        while True:
            steps.append(threading.current_thread().name)
            time.sleep(0.005)
            yield len(steps)

    runner.idled.connect(seen.append)
    runner.idle(idle)
    qtbot.waitUntil(lambda: bool(seen))
    assert set(steps) == {THREAD_NAME}
    assert not runner.busy
    results = []
    runner.yielded.connect(results.extend)
    runner.start(lambda: iter(["job"]))
    qtbot.waitUntil(lambda: not runner.busy)
    assert results == ["job"]
    after = len(steps)
    qtbot.waitUntil(lambda: len(steps) > after)
    runner.idle(None)
    qtbot.wait(50)
    stopped = len(steps)
    qtbot.wait(50)
    assert len(steps) == stopped


def test_newer_idle_work_takes_the_place_of_older(runner, qtbot):
    def forever(name):
        def idle():
            while True:
                time.sleep(0.002)
                yield name

        return idle

    seen = []
    runner.idled.connect(seen.append)
    runner.idle(forever("old"))
    qtbot.waitUntil(lambda: bool(seen))
    runner.idle(forever("new"))
    seen.clear()
    qtbot.waitUntil(lambda: bool(seen))
    assert set(seen) == {"new"}


def test_idle_work_that_fails_is_over(runner, qtbot):
    def idle():
        yield 1
        raise ValueError

    runner.idle(idle)
    qtbot.waitUntil(lambda: runner._idling == 0)
    runner.start(lambda: iter([1]))
    qtbot.waitUntil(lambda: not runner.busy)


def test_a_job_interrupts_idle_work_which_begins_anew(runner, qtbot):
    stop, begun = threading.Event(), []

    def idle():
        begun.append(time.monotonic())
        if len(begun) == 1:
            assert stop.wait(10)
            raise Interrupted("on request")
        yield "anew"

    seen = []
    runner.idled.connect(seen.append)
    runner.idle(idle, stop.set)
    qtbot.waitUntil(lambda: len(begun) == 1)
    runner.start(lambda: iter([1]))
    assert stop.is_set()
    qtbot.waitUntil(lambda: not runner.busy)
    qtbot.waitUntil(lambda: seen == ["anew"])
    stop.clear()
    qtbot.waitUntil(lambda: not runner._idling)
    runner.start(lambda: iter([1]))
    assert not stop.is_set()
    qtbot.waitUntil(lambda: not runner.busy)


def test_a_job_in_flight_is_not_interrupted_by_a_second_one(runner, qtbot):
    stop, go_on = threading.Event(), threading.Event()

    def job():
        assert go_on.wait(10)
        yield 1

    runner.start(job)
    runner.idle(lambda: iter(()), stop.set)
    with pytest.raises(MedSAMLiteError, match="in progress"):
        runner.start(job)
    assert not stop.is_set()
    go_on.set()
    qtbot.waitUntil(lambda: not runner.busy)
