import logging
import multiprocessing
import os
import threading
from dataclasses import replace

import pytest

from napari_medsam_lite.core.cores import usable_cores
from napari_medsam_lite.core.errors import (
    MedSAMLiteError,
    PromptError,
)
from napari_medsam_lite.engine.batch import run_in_processes, run_overlapped


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
    assert outcomes[2].result[1] == str(max(1, usable_cores() // 2))
    assert outcomes[2].result[2] != os.getpid()


def test_a_process_that_dies_costs_its_case_alone(work):
    outcomes = {o.case: o for o in run_in_processes(work.die_on_three, list(range(8)), 2)}
    assert sorted(outcomes) == list(range(8))
    error = outcomes.pop(3).error
    assert isinstance(error, MedSAMLiteError)
    assert "worker process ended" in str(error)
    assert all(o.error is None and o.result == case for case, o in outcomes.items())


def test_a_case_whose_process_died_is_tried_once_more(work, tmp_path):
    (outcome,) = run_in_processes(work.die_once, [tmp_path / "case"], 2)
    assert outcome.result == "tried"


def test_a_case_whose_process_died_after_it_had_written_is_tried_as_one_that_may(work, tmp_path):
    case = work.Target(tmp_path / "labels")
    (outcome,) = run_in_processes(work.write_and_die, [case], 2, lambda c: replace(c, overwrite=1))
    assert (outcome.error, outcome.result) == (None, "written")
    assert outcome.case is case


def divisions(work, how):
    if how == "overlapped":
        return run_overlapped(int, lambda _, case: work.divide(case), max, [1, 0, 3])
    return run_in_processes(work.divide, [1, 0, 3], 2)


@pytest.mark.parametrize("how", ["overlapped", "processes"])
def test_what_was_not_expected_is_told_in_a_sentence(work, caplog, how):
    with caplog.at_level(logging.INFO):
        outcomes = {o.case: o for o in divisions(work, how)}
    assert sorted(outcomes) == [0, 1, 3]
    assert outcomes[1].error is outcomes[3].error is None
    error = outcomes[0].error
    assert str(error) == "Something unexpected went wrong (ZeroDivisionError: division by zero)."
    assert isinstance(error.__cause__, ZeroDivisionError)
    assert "return 12 / case" in caplog.text  # the traceback


def test_too_little_memory_is_told():
    def segment(case, _):
        raise MemoryError

    (outcome,) = run_overlapped(int, segment, max, [1])
    assert "memory is too small" in str(outcome.error)


def test_stopping_ends_the_processes(work, tmp_path):
    outcomes = run_in_processes(work.leave_a_mark, [tmp_path / str(i) for i in range(50)], 2)
    next(outcomes)
    outcomes.close()
    assert multiprocessing.active_children() == []
    assert len(list(tmp_path.iterdir())) < 10
