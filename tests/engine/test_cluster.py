import gc
import json
import os
import signal
import subprocess
import sys
import time
import warnings

import pytest

from napari_medsam_lite.core.errors import BackendUnavailableError
from napari_medsam_lite.engine.cluster import run_on_cluster


@pytest.fixture(autouse=True)
def collected():
    """Sockets of clients without a scheduler are Dask's; no later test is to be blamed for them."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def work(importable):
    """The module `batch_work`, for this process and for those it starts."""
    import batch_work

    return batch_work


@pytest.mark.parametrize(
    "address",
    ["tcp://127.0.0.1:1", "", "nonsense", "nonsense://x:1", "tcp://127.0.0.1:port", "ucx://1:2"],
)
def test_no_scheduler_there(monkeypatch, address):
    pytest.importorskip("distributed")
    monkeypatch.setattr("napari_medsam_lite.engine.cluster.CONNECT_SECONDS", 0.5)
    with pytest.raises(BackendUnavailableError, match="No Dask scheduler answers"):
        list(run_on_cluster(abs, [1], address))


class Cluster:
    """A real scheduler and workers, each a process of its own."""

    def __init__(self, folder):
        self._file = folder / "scheduler.json"
        self.workers, self.address, self._port = [], "", "0"

    def start(self, workers):
        """Start the scheduler, at the same address if it was there before, and its workers."""
        self._file.unlink(missing_ok=True)
        self._scheduler = self._launch(
            "dask_scheduler",
            "--host=127.0.0.1",
            f"--port={self._port}",
            "--no-dashboard",
            f"--scheduler-file={self._file}",
        )
        self.address = scheduler_address(self._file)
        self._port = self.address.rpartition(":")[2]
        options = ("--nthreads=1", "--no-nanny", "--no-dashboard")
        self.workers = [
            self._launch("dask_worker", f"--scheduler-file={self._file}", *options)
            for _ in range(workers)
        ]

    def kill(self):
        """End all of them at once."""
        for process in (self._scheduler, *self.workers):
            process.kill()
            process.wait()

    def _launch(self, *arguments):
        return subprocess.Popen(
            [sys.executable, "-m", "distributed.cli." + arguments[0], *arguments[1:]],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


@pytest.fixture
def cluster(work, tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    # Else a case takes four workers with it before Dask gives it up.
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES", "0")
    cluster = Cluster(tmp_path)
    cluster.start(3)
    yield cluster
    cluster.kill()


def scheduler_address(file):
    """What the scheduler writes down once it listens."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            return json.loads(file.read_text())["address"]
        except (OSError, ValueError):  # not there yet, or half written
            time.sleep(0.1)
    raise TimeoutError("the Dask scheduler did not start")


dask_warns = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


@dask_warns
def test_a_cluster_answers_every_case_once_though_a_worker_dies(cluster, work, tmp_path):
    """What the dead worker was on is done again, what it had handed over is not."""
    cases = [tmp_path / f"{i}.txt" for i in range(12)]
    done = []
    for outcome in run_on_cluster(work.leave_a_mark, cases, cluster.address):
        done.append(outcome.case)
        if len(done) == 6:
            for worker in cluster.workers[:2]:
                os.kill(worker.pid, signal.SIGKILL)
    assert sorted(done) == sorted(cases)
    assert all("done" in path.read_text() for path in cases)
    assert [path.read_text().count("begun") for path in done[:6]] == [1] * 6


@dask_warns
def test_a_case_that_kills_workers_is_told_and_the_others_are_answered(cluster, work):
    outcomes = {
        o.case: o for o in run_on_cluster(work.die_on_three, list(range(8)), cluster.address)
    }
    assert sorted(outcomes) == list(range(8))
    assert "worker process ended" in str(outcomes.pop(3).error)
    assert all(o.error is None and o.result == case for case, o in outcomes.items())


@dask_warns
def test_what_was_not_expected_on_a_cluster(cluster, work):
    outcomes = {o.case: o for o in run_on_cluster(work.divide, [1, 0, 3], cluster.address)}
    assert outcomes[3].result == 4
    assert "ZeroDivisionError: division by zero" in str(outcomes[0].error)


@dask_warns
def test_a_scheduler_that_is_restarted_is_given_what_is_left(cluster, work, tmp_path):
    cases = [tmp_path / f"{i}.txt" for i in range(9)]
    done = []
    for outcome in run_on_cluster(work.leave_a_mark, cases, cluster.address):
        assert outcome.error is None
        done.append(outcome.case)
        if len(done) == 3:
            cluster.kill()
            cluster.start(2)
    assert sorted(done) == sorted(cases)
    assert [path.read_text().count("begun") for path in done[:3]] == [1] * 3


@dask_warns
def test_a_scheduler_that_stays_away_is_told(cluster, work, tmp_path, monkeypatch):
    monkeypatch.setattr("napari_medsam_lite.engine.cluster.CONNECT_SECONDS", 1)
    monkeypatch.setattr("napari_medsam_lite.engine.cluster.RETURN_SECONDS", 2)
    cases = [tmp_path / f"{i}.txt" for i in range(9)]
    outcomes = []
    for outcome in run_on_cluster(work.leave_a_mark, cases, cluster.address):
        outcomes.append(outcome)
        if len(outcomes) == 3:
            cluster.kill()
    assert sorted(each.case for each in outcomes) == sorted(cases)
    told = {str(each.error) for each in outcomes if each.error}
    (sentence,) = told
    assert "was lost and did not come back; the same command again does what is left" in sentence


def test_a_client_that_fails_as_it_is_closed_loses_no_case(cluster, work, tmp_path, monkeypatch):
    """Seen where it looked for its old scheduler at that moment."""
    import distributed

    failed = []

    class Client(distributed.Client):
        def close(self, *args, **kwargs):
            super().close(*args, **kwargs)
            if not failed:  # not again when it is collected
                failed.append(self)
                raise RuntimeError("ConnectionPool is closed")

    monkeypatch.setattr(distributed, "Client", Client)
    cases = [tmp_path / f"{i}.txt" for i in range(3)]
    found = list(run_on_cluster(work.leave_a_mark, cases, cluster.address))
    assert [outcome.error for outcome in found] == [None] * 3
    assert failed
