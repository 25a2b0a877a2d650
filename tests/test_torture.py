"""The short form of the harness that tries to break the plugin, part by part."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def parts(monkeypatch):
    """What imports a part of the harness."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return lambda name: importlib.import_module(f"torture_parts.{name}")


def torture(*arguments, timeout=180):
    """Run a part, and return what it printed; it must have found nothing."""
    command = [sys.executable, BENCHMARKS / "torture.py", "--short", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def needs_a_window():
    if sys.platform != "linux" or not os.environ.get("DISPLAY"):
        pytest.skip("a window cannot be opened here")


def test_monkey_finds_nothing():
    needs_a_window()
    told = torture("monkey", "--seed", "4", "--tries", "0")
    assert "0 crashes, 0 hangs, 0 faults" in told


def test_day_leaves_nothing_behind():
    needs_a_window()
    assert "threads: " in torture("day")


def test_clock_that_jumps_does_no_harm():
    needs_a_window()
    assert "0 faults" in torture("clock")


def test_two_processes_share_a_cache():
    assert "0 faults" in torture("two")


def test_bad_disks_are_told():
    if sys.platform != "linux":
        pytest.skip("disks are mounted with Linux' namespaces")
    told = torture("disk")
    assert "0 faults" in told or "nothing was tried" in told


@pytest.mark.parametrize("guilty", [set(), {0}, {29}, {3, 17}, {1, 2, 28, 29}])
def test_the_shortest_failure_is_found(parts, guilty):
    items, shortest = list(range(30)), parts("shrink").shortest
    left = shortest(items, lambda tried: guilty <= set(tried), tries=10**4)
    assert len(left) == max(len(guilty), 1)
    assert guilty <= set(left)


def test_a_plan_is_the_same_for_the_same_seed(parts):
    plan_of = parts("play").plan_of
    assert plan_of(3, 50) == plan_of(3, 50) != plan_of(4, 50)
