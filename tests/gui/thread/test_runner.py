import gc
import itertools
import threading
import time
import weakref

import pytest

from napari_medsam_lite.acceleration.torch.allocator import in_main_arena
from napari_medsam_lite.core.errors import DeviceMemoryError, Interrupted, MedSAMLiteError
from napari_medsam_lite.gui.thread import worker
from napari_medsam_lite.gui.thread.runner import JobRunner, shared_runner
from napari_medsam_lite.gui.thread.task import Ending, Task
from napari_medsam_lite.gui.thread.worker import THREAD_NAME


class Recorded(Task):
    """Does `job`, and remembers what its handlers were told."""

    def __init__(self, job=lambda: iter(()), interrupt=lambda: None):
        self.work, self.interrupt = job, interrupt
        self.batches, self.endings = [], []

    def on_items(self, items):
        assert threading.current_thread() is threading.main_thread()
        self.batches.append(items)

    def on_ended(self, ending):
        self.endings.append(ending)

    @property
    def items(self):
        return [item for batch in self.batches for item in batch]


@pytest.fixture
def runner(qtbot):
    runner = JobRunner()
    runner.join()
    yield runner
    runner.cancel()
    runner.stop_idle()
    runner.leave()


def run(runner, qtbot, job):
    task = Recorded(job)
    runner.start(task)
    qtbot.waitUntil(lambda: bool(task.endings))
    return task


def test_items_come_in_order_and_in_few_batches(runner, qtbot):
    task = run(runner, qtbot, lambda: iter(range(5000)))
    assert task.endings == [Ending("finished")]
    assert task.items == list(range(5000))
    assert len(task.batches) <= 50
    assert not runner.busy


def test_a_job_that_yields_without_end_leaves_the_main_thread_free(runner, qtbot):
    task = Recorded(itertools.count)
    runner.start(task)
    qtbot.waitUntil(lambda: len(task.batches) >= 3)
    start = time.monotonic()
    runner.cancel()
    assert time.monotonic() - start < 2
    assert task.endings == [Ending("cancelled")]


def test_all_tasks_run_on_one_thread_off_the_main_one(runner, qtbot):
    def where():
        yield threading.current_thread()

    first, second = run(runner, qtbot, where), run(runner, qtbot, where)
    assert first.items == second.items
    assert first.items[0].name == THREAD_NAME
    assert first.items[0] is not threading.main_thread()


def test_the_thread_uses_the_main_arena(runner, qtbot):
    def where():
        yield in_main_arena()

    assert in_main_arena(), "the main thread always does"
    assert run(runner, qtbot, where).items == [True]


def test_no_right_thread_is_no_reason_to_wait(runner, qtbot, monkeypatch):
    monkeypatch.setattr(worker, "in_main_arena", lambda: False)
    assert run(runner, qtbot, lambda: iter("x")).endings == [Ending("finished")]
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
def test_every_exception_becomes_one_sentence(runner, qtbot, error, sentence):
    def job():
        yield "before"
        raise error

    task = run(runner, qtbot, job)
    assert task.endings == [Ending("failed", sentence)]
    assert task.items == ["before"]
    assert run(runner, qtbot, lambda: iter("x")).endings == [Ending("finished")]


def test_error_before_the_first_item(runner, qtbot):
    def job():
        raise MedSAMLiteError("No.")

    assert run(runner, qtbot, job).endings == [Ending("failed", "No.")]


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (MedSAMLiteError("The labels were replaced."), "The labels were replaced."),
        (IndexError("out of bounds"), "Something went wrong (IndexError: out of bounds)."),
    ],
)
def test_a_handler_that_fails_ends_its_task_and_no_other(runner, qtbot, error, sentence):
    class Failing(Recorded):
        def on_items(self, items):
            raise error

    task = Failing(lambda: itertools.count())
    runner.start(task)
    qtbot.waitUntil(lambda: bool(task.endings))
    assert task.endings == [Ending("failed", sentence)]
    assert not runner.busy
    assert run(runner, qtbot, lambda: iter("x")).items == ["x"]


def test_an_end_that_cannot_be_shown_is_the_end_all_the_same(runner, qtbot):
    class Failing(Recorded):
        def on_ended(self, ending):
            super().on_ended(ending)
            raise RuntimeError("wrapped C/C++ object has been deleted")

    task = Failing()
    runner.start(task)
    qtbot.waitUntil(lambda: bool(task.endings))
    assert not runner.busy
    assert run(runner, qtbot, lambda: iter("x")).items == ["x"]


def test_second_job_is_refused_while_one_is_in_flight(runner, qtbot):
    release = threading.Event()

    def job():
        release.wait(5)
        yield 1

    task = Recorded(job)
    runner.start(task)
    with pytest.raises(MedSAMLiteError, match="in progress"):
        runner.start(Recorded())
    release.set()
    qtbot.waitUntil(lambda: bool(task.endings))
    assert task.items == [1]


def test_cancel_keeps_what_is_done_and_drops_what_comes_late(runner, qtbot):
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

    task = Recorded(job)
    runner.start(task)
    assert ready.wait(5)
    assert not runner.settling
    runner.cancel()
    assert task.items == ["done"]
    assert task.endings == [Ending("cancelled")]
    assert not runner.busy
    assert runner.settling
    # The next one may be asked for at once, while the thread is still in the old one.
    following = Recorded(lambda: iter(["next"]))
    runner.start(following)
    release.set()
    qtbot.waitUntil(lambda: bool(following.endings))
    assert closed.is_set()
    assert not runner.settling
    assert (task.items, following.items) == (["done"], ["next"])


def test_only_the_task_that_is_meant_is_cancelled(runner, qtbot):
    release = threading.Event()
    task = Recorded(lambda: iter([release.wait(5)]))
    runner.start(task)
    runner.cancel(Recorded())
    assert runner.busy
    release.set()
    qtbot.waitUntil(lambda: bool(task.endings))
    assert task.endings == [Ending("finished")]


def test_cancel_from_a_handler_ends_once(runner, qtbot):
    class Impatient(Recorded):
        def on_items(self, items):
            runner.cancel()

    task = Impatient(lambda: iter("abc"))
    runner.start(task)
    qtbot.waitUntil(lambda: bool(task.endings))
    qtbot.wait(250)
    assert task.endings == [Ending("cancelled")]


def test_when_the_last_dock_leaves_the_thread_ends(runner, qtbot):
    def threads():
        return [t for t in threading.enumerate() if t.name == THREAD_NAME]

    runner.join()
    task = Recorded(itertools.count)
    runner.start(task)
    qtbot.waitUntil(lambda: bool(task.items))
    runner.cancel(task)
    runner.leave()
    assert threads(), "another dock is still open"
    runner.leave()
    count = len(task.batches)
    qtbot.waitUntil(lambda: not threads())
    qtbot.wait(150)
    assert len(task.batches) == count
    assert task.endings == [Ending("cancelled")]
    runner.join()
    assert run(runner, qtbot, lambda: iter("x")).items == ["x"]


def test_all_docks_share_one_runner():
    assert shared_runner() is shared_runner()


def test_idle_work_goes_on_until_a_job_comes(runner, qtbot):
    steps = []

    def work():
        while True:
            steps.append(threading.current_thread().name)
            time.sleep(0.005)
            yield len(steps)

    idle = Recorded(work)
    runner.idle(idle)
    qtbot.waitUntil(lambda: bool(idle.items))
    assert set(steps) == {THREAD_NAME}
    assert not runner.busy
    assert run(runner, qtbot, lambda: iter(["job"])).items == ["job"]
    after = len(steps)
    qtbot.waitUntil(lambda: len(steps) > after)
    runner.stop_idle(Recorded())
    qtbot.waitUntil(lambda: len(steps) > after + 5)
    runner.stop_idle(idle)
    qtbot.wait(300)
    stopped, told = len(steps), len(idle.items)
    qtbot.wait(150)
    assert (len(steps), len(idle.items)) == (stopped, told)


def test_newer_idle_work_takes_the_place_of_older(runner, qtbot):
    def forever(name):
        def work():
            while True:
                time.sleep(0.002)
                yield name

        return Recorded(work)

    old, new = forever("old"), forever("new")
    runner.idle(old)
    qtbot.waitUntil(lambda: bool(old.items))
    runner.idle(new)
    count = len(old.items)
    qtbot.waitUntil(lambda: len(new.items) > 5)
    assert len(old.items) == count
    assert set(new.items) == {"new"}


def test_the_end_of_idle_work_is_not_taken_for_anothers(runner, qtbot):
    """Each has a number of its own, also after a pause."""
    release = threading.Event()
    first = Recorded(lambda: iter([release.wait(5)]))
    runner.idle(first)
    runner.stop_idle()
    endless = Recorded(lambda: (time.sleep(0.002) for _ in itertools.count()))
    runner.idle(endless)
    release.set()
    qtbot.waitUntil(lambda: len(endless.items) > 20)
    assert (first.endings, endless.endings) == ([], [])


def test_idle_work_that_fails_is_over(runner, qtbot):
    def work():
        yield 1
        raise ValueError

    idle = Recorded(work)
    runner.idle(idle)
    qtbot.waitUntil(lambda: idle.endings == [Ending("failed")])
    assert run(runner, qtbot, lambda: iter([1])).items == [1]


def test_polls_do_not_add_up(runner, qtbot, monkeypatch):
    """However often tasks are started while idle work goes on, there is one chain of polls."""
    runner.idle(Recorded(lambda: (time.sleep(0.002) for _ in itertools.count())))
    for _ in range(10):
        run(runner, qtbot, lambda: iter("x"))
    polls, poll = [], runner._poll

    def counted():
        polls.append(time.monotonic())
        poll()

    monkeypatch.setattr(runner, "_poll", counted)
    qtbot.wait(1000)
    assert 2 <= len(polls) <= 12


def test_a_job_interrupts_idle_work_which_begins_anew(runner, qtbot):
    stop, begun = threading.Event(), []

    def work():
        begun.append(time.monotonic())
        if len(begun) == 1:
            assert stop.wait(10)
            raise Interrupted("on request")
        yield "anew"

    idle = Recorded(work, stop.set)
    runner.idle(idle)
    qtbot.waitUntil(lambda: len(begun) == 1)
    task = Recorded(lambda: iter([1]))
    runner.start(task)
    assert stop.is_set()
    qtbot.waitUntil(lambda: idle.items == ["anew"])
    assert task.endings == [Ending("finished")]
    qtbot.waitUntil(lambda: bool(idle.endings))
    stop.clear()
    run(runner, qtbot, lambda: iter([1]))
    assert not stop.is_set()


def test_a_job_in_flight_is_not_interrupted_by_a_second_one(runner, qtbot):
    stop, go_on = threading.Event(), threading.Event()

    def job():
        assert go_on.wait(10)
        yield 1

    task = Recorded(job)
    runner.start(task)
    runner.idle(Recorded(interrupt=stop.set))
    with pytest.raises(MedSAMLiteError, match="in progress"):
        runner.start(Recorded())
    assert not stop.is_set()
    go_on.set()
    qtbot.waitUntil(lambda: bool(task.endings))


def test_a_waiting_thread_holds_nothing_of_a_task(runner, qtbot):
    """A closed dock's last run, with its labels and undo, would stay as long as another is open."""
    task = run(runner, qtbot, lambda: iter([1]))
    freed = weakref.ref(task)
    task.work = None
    del task

    def gone():
        gc.collect()
        return freed() is None

    qtbot.waitUntil(gone)


def test_displaced_idle_work_is_told(runner, qtbot):
    first = Recorded(itertools.count)
    runner.idle(first)
    assert runner.idling
    runner.idle(Recorded())
    assert first.endings == [Ending("cancelled")]


def test_leaving_ends_the_polls(runner, qtbot):
    runner.idle(Recorded(lambda: (time.sleep(0.002) for _ in itertools.count())))
    runner.leave()
    assert not runner.idling
    number = runner._tick_number
    qtbot.wait(300)
    assert runner._tick_number <= number + 1
    runner.join()


def test_errands_are_done_in_order_before_the_next_step_of_idle_work(runner, qtbot):
    gate, order = threading.Semaphore(0), []

    def idle():
        for step in range(3):
            order.append(f"idle {step}")
            yield step
            gate.acquire()

    def errand(name):
        def work():
            order.append(name)
            yield name

        return Recorded(work)

    runner.idle(Recorded(idle))
    qtbot.waitUntil(lambda: order == ["idle 0"])
    errands = [errand("a"), errand("b")]
    for each in errands:
        runner.errand(each)
    gate.release(10)
    qtbot.waitUntil(lambda: all(each.endings for each in errands))
    assert order.index("a") < order.index("b")
    assert [each.items for each in errands] == [["a"], ["b"]]
    assert not runner.busy
    qtbot.waitUntil(lambda: order[-1] == "idle 2")


def test_an_errand_that_fails_is_told_and_a_job_starts_beside_it(runner, qtbot):
    def fails():
        raise MedSAMLiteError("The disk is full.")
        yield

    errand = Recorded(fails)
    runner.errand(errand)
    job = run(runner, qtbot, lambda: iter("x"))
    assert job.items == ["x"]
    assert errand.endings == [Ending("failed", "The disk is full.")]


def test_an_errand_is_done_when_the_last_dock_leaves(qtbot):
    runner, done = JobRunner(), threading.Event()

    def work():
        yield done.set()

    runner.join()
    errand = Recorded(work)
    runner.errand(errand)
    runner.leave()
    assert done.wait(30)
    assert errand.endings == []
