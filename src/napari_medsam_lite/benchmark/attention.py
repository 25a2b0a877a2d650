"""The report's micro-benchmark: attention alone, written out, nested, fused (SDPA), and both.

The work is one layer of the third stage on one slice: 25 windows of up to 14 x 14 tokens,
five heads of 32 channels. Padded, every window has 196 tokens; nested, those at the edges fewer.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

P = ParamSpec("P")
R = TypeVar("R")

RUNS = 1000
CHUNK_S = 0.4
SHORTEST_S = 1e-4
GRID, WINDOW, HEADS, WIDTH = 64, 14, 5, 32


@dataclass(frozen=True)
class Timing:
    """Seconds that `runs` runs of one way took together."""

    way: str
    runs: int
    seconds: float


def _quietly(function: Callable[P, R]) -> Callable[P, R]:
    """Let `function` run without gradients and without torch's word on prototypes.

    Not around a generator: both would hold for whoever runs between two of its steps.
    """

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.filterwarnings("ignore", "The PyTorch API of nested tensors")
            return function(*args, **kwargs)

    return wrapper


def benchmark_attention(runs: int = RUNS, device: str = "cpu") -> Iterator[str | Timing]:
    """Time none, nested, sdpa and sdpa + nested; closing it stops within about half a second.

    The nested tensors are made beforehand, as are the padded ones. Neither carries a bias, since
    torch's nested attention takes none.

    Parameters
    ----------
    runs : int
        How often each way is run.
    device : str
        A torch device.

    Yields
    ------
    str
        What is going on, every half a second; the time that its reader takes is not counted.
    Timing
        One a way.
    """
    for way, work in _ways(torch.device(device)).items():
        _run(work, 1, device)
        left, seconds, chunk = runs, 0.0, 1
        while left:
            yield f"{way}, {runs - left} of {runs} runs"
            count = min(chunk, left)
            took = _run(work, count, device)
            left, seconds = left - count, seconds + took
            chunk = max(1, int(count * CHUNK_S / max(took, SHORTEST_S)))
        yield Timing(way, runs, seconds)


@_quietly
def _ways(device: torch.device) -> dict[str, Callable[[], Tensor]]:
    """Each way as a function that does the work once."""
    windows = ragged_windows(device)
    padded = torch.stack([F.pad(w, (0, 0, 0, WINDOW**2 - w.shape[1])) for w in windows])
    blocks = torch.nested.nested_tensor(windows)
    rows = torch.nested.nested_tensor(
        [w.transpose(0, 1).contiguous() for w in windows], layout=torch.jagged
    ).transpose(1, 2)
    return {
        "none": lambda: _written_out(padded),
        "nested": lambda: _written_out(blocks),
        "sdpa": lambda: F.scaled_dot_product_attention(padded, padded, padded),
        "sdpa + nested": lambda: F.scaled_dot_product_attention(rows, rows, rows),
    }


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


@_quietly
def _run(work: Callable[[], Tensor], runs: int, device: str) -> float:
    """The seconds that `runs` runs take."""
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
