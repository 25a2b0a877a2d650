import time

import pytest
import torch

from napari_medsam_lite.benchmark import attention
from napari_medsam_lite.benchmark.attention import Timing, benchmark_attention

WAYS = ["none", "nested", "sdpa", "sdpa + nested"]


def test_every_way_is_timed():
    items = list(benchmark_attention(runs=2))
    timings = [item for item in items if isinstance(item, Timing)]
    assert [timing.way for timing in timings] == WAYS
    assert all(timing.runs == 2 and timing.seconds > 0 for timing in timings)
    said = [item for item in items if isinstance(item, str)]
    assert said[0] == "none, 0 of 2 runs"
    assert {text.split(",")[0] for text in said} == set(WAYS)


def test_the_ways_give_one_answer():
    windows = attention.ragged_windows(torch.device("cpu"))
    ways = attention._ways(torch.device("cpu"))
    nested, rows = ways["nested"]().unbind(), ways["sdpa + nested"]().transpose(1, 2).unbind()
    for window, one, other in zip(windows, nested, rows, strict=True):
        wanted = torch.nn.functional.scaled_dot_product_attention(window, window, window)
        torch.testing.assert_close(one, wanted, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(other.transpose(0, 1), wanted, atol=1e-5, rtol=1e-5)


def test_it_yields_often_however_many_runs_there_are(monkeypatch):
    """So that Cancel takes effect; the last chunk before it is at most half a second."""
    monkeypatch.setattr(attention, "_ways", lambda _: {"none": lambda: time.sleep(0.01)})
    steps = benchmark_attention(runs=200)
    gaps, last = [], time.monotonic()
    for _ in steps:
        gaps.append(time.monotonic() - last)
        last = time.monotonic()
    assert len(gaps) >= 5
    assert max(gaps) < 1


def test_the_readers_time_is_not_counted(monkeypatch):
    monkeypatch.setattr(attention, "_ways", lambda _: {"none": lambda: time.sleep(0.001)})
    for item in benchmark_attention(runs=5):
        if isinstance(item, Timing):
            assert 0.005 <= item.seconds < 0.3
        else:
            time.sleep(0.3)


@pytest.mark.parametrize("steps", [1, 2])
def test_nothing_leaks_to_who_reads(steps):
    items = benchmark_attention(runs=1)
    for _ in range(steps):
        next(items)
    assert torch.is_grad_enabled()
    items.close()
