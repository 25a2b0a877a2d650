"""The report's micro-benchmark: attention alone, written out, nested, fused (SDPA), and both.

The work is one layer of the third stage on one slice: 25 windows of up to 14 x 14 tokens,
five heads of 32 channels. Padded, every window has 196 tokens; nested, those at the edges fewer.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

RUNS = 1000
GRID, WINDOW, HEADS, WIDTH = 64, 14, 5, 32


@dataclass(frozen=True)
class Timing:
    """Seconds that `runs` runs of one way took together."""

    way: str
    runs: int
    seconds: float


def benchmark_attention(
    runs: int = RUNS,
    device: str = "cpu",
    progress: Callable[[str], None] = lambda _: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> list[Timing]:
    """Time none, nested, sdpa and sdpa + nested; what is done when `cancelled` is returned.

    The nested tensors are made beforehand, as are the padded ones. Neither carries a bias, since
    torch's nested attention takes none.
    """
    windows = ragged_windows(torch.device(device))
    padded = torch.stack([F.pad(w, (0, 0, 0, WINDOW**2 - w.shape[1])) for w in windows])
    timings = []
    with warnings.catch_warnings(), torch.no_grad():
        warnings.filterwarnings("ignore", "The PyTorch API of nested tensors")
        blocks = torch.nested.nested_tensor(windows)
        rows = torch.nested.nested_tensor(
            [w.transpose(0, 1).contiguous() for w in windows], layout=torch.jagged
        ).transpose(1, 2)
        ways: dict[str, Callable[[], Tensor]] = {
            "none": lambda: _written_out(padded),
            "nested": lambda: _written_out(blocks),
            "sdpa": lambda: F.scaled_dot_product_attention(padded, padded, padded),
            "sdpa + nested": lambda: F.scaled_dot_product_attention(rows, rows, rows),
        }
        for way, work in ways.items():
            if cancelled():
                break
            progress(way)
            timings.append(Timing(way, runs, _seconds(work, runs, device)))
    return timings


def _written_out(x: Tensor) -> Tensor:
    """Softmax attention of x with itself; a nested x has no single shape to ask for."""
    y: Tensor = (x @ x.transpose(-2, -1) * WIDTH**-0.5).softmax(dim=-1) @ x
    return y


def ragged_windows(device: torch.device) -> list[Tensor]:
    """(heads, tokens, channels) of each window, the same numbers every time."""
    generator = torch.Generator().manual_seed(0)
    sides = [min(WINDOW, GRID - start) for start in range(0, GRID, WINDOW)]
    return [
        torch.randn(HEADS, rows * columns, WIDTH, generator=generator).to(device)
        for rows in sides
        for columns in sides
    ]


def _seconds(work: Callable[[], Tensor], runs: int, device: str) -> float:
    work()
    _finish(device)
    start = time.perf_counter()
    for _ in range(runs):
        work()
    _finish(device)
    return time.perf_counter() - start


def _finish(device: str) -> None:
    """Wait for the GPU: it works on after Python has returned."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()
