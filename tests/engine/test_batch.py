import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from napari_medsam_lite.core.errors import (
    BackendUnavailableError,
    MedSAMLiteError,
    PromptError,
)
from napari_medsam_lite.engine.batch import run_in_processes, run_on_cluster, run_overlapped


@pytest.fixture
def work(importable):
    """The module `batch_work`, for this process and for those it starts."""
    import batch_work

    return batch_work


def test_overlapped_reads_ahead_and_writes_behind():
    threads = {}

    def step(name, answer):
        threads.setdefault(name, set()).add(threading.current_thread().name)
        return answer

    outcomes = list(
        run_overlapped(
            lambda case: step("read", case * 10),
            lambda case, contents: step("segment", contents + 1),
            lambda case, answer: step("write", (case, answer)),
            [1, 2, 3],
        )
    )
    assert [o.result for o in outcomes] == [(1, 11), (2, 21), (3, 31)]
    assert threads["segment"] == {threading.current_thread().name}
    assert not threads["segment"] & (threads["read"] | threads["write"])


@pytest.mark.parametrize("stage", ["read", "segment", "write"])
def test_overlapped_goes_on_after_a_failure(stage):
    def step(name):
        def run(case, *_):
            if name == stage and case == 2:
                raise PromptError("two is bad")
            return case

        return run

    outcomes = list(run_overlapped(step("read"), step("segment"), step("write"), [1, 2, 3]))
    assert sorted(o.case for o in outcomes) == [1, 2, 3]
    assert [(o.case, str(o.error)) for o in outcomes if o.error] == [(2, "two is bad")]


def test_overlapped_with_nothing_to_do():
    assert list(run_overlapped(int, max, max, [])) == []


def test_processes_share_the_cores(work):
    outcomes = {o.case: o for o in run_in_processes(work.halve, [2, 3, 8, 10], 2)}
    assert {case: o.result and o.result[0] for case, o in outcomes.items()} == {
        2: 1,
        3: None,
        8: 4,
        10: 5,
    }
    assert str(outcomes[3].error) == "3 is odd."
    assert outcomes[2].result[1] == str(max(1, os.cpu_count() // 2))
    assert outcomes[2].result[2] != os.getpid()


def test_a_process_that_dies_is_told(work):
    (outcome,) = run_in_processes(work.die, [1], 2)
    assert isinstance(outcome.error, MedSAMLiteError)
    assert "worker process ended" in str(outcome.error)


def test_no_scheduler_there(monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("napari_medsam_lite.engine.batch.CONNECT_SECONDS", 0.5)
    with pytest.raises(BackendUnavailableError, match="No Dask scheduler answers"):
        list(run_on_cluster(abs, [1], "tcp://127.0.0.1:1"))


@pytest.fixture
def cluster(work, tmp_path):
    """A real scheduler and two workers, each a process of its own; gives address and workers."""
    pytest.importorskip("distributed")
    scheduler_file = tmp_path / "scheduler.json"

    def launch(*arguments):
        return subprocess.Popen(
            [sys.executable, "-m", "distributed.cli." + arguments[0], *arguments[1:]],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    scheduler = launch(
        "dask_scheduler",
        "--host=127.0.0.1",
        "--port=0",
        "--no-dashboard",
        f"--scheduler-file={scheduler_file}",
    )
    options = ("--nthreads=1", "--no-nanny", "--no-dashboard")
    workers = [
        launch("dask_worker", f"--scheduler-file={scheduler_file}", *options) for _ in range(2)
    ]
    try:
        yield scheduler_address(scheduler_file), workers
    finally:
        for process in (*workers, scheduler):
            process.kill()
            process.wait()


def scheduler_address(file):
    """What the scheduler writes down once it listens."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            return json.loads(file.read_text())["address"]
        except (OSError, ValueError):  # not there yet, or half written
            time.sleep(0.1)
    raise TimeoutError("the Dask scheduler did not start")


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_a_cluster_answers_every_case_once_though_a_worker_dies(cluster, work, tmp_path):
    """What the dead worker did and had not handed over is done again."""
    address, workers = cluster
    cases = [tmp_path / f"{i}.txt" for i in range(8)]
    done = []
    for outcome in run_on_cluster(work.leave_a_mark, cases, address):
        done.append(outcome.case)
        if len(done) == 1:
            os.kill(workers[0].pid, signal.SIGKILL)
    assert sorted(done) == cases
    assert all("done" in path.read_text() for path in cases)
