"""One preset measured in a process of its own: time, memory, masks.

A process of its own, because memory that one preset took would count for the next, a preset may
change how the process allocates, and one that crashes must not take the window with it. Started by
`compare` as ``python -m napari_medsam_lite.acceleration.tuning.child JOB.json``.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import psutil
from numpy.typing import NDArray

from napari_medsam_lite.acceleration.backend import Backend
from napari_medsam_lite.acceleration.load import load_backend
from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.model.weights import find_checkpoint

T = TypeVar("T")

REPEATS = 5
LONG_S = 0.5
"""Work that takes longer is not repeated for its time alone; noise matters little to it."""
BATCH = 8
"""Boxes timed together."""
FIRST = 2
"""Slices after which one that is too slow is given up: the very first is slower than the rest."""


@dataclass(frozen=True)
class ChildJob:
    """What to measure.

    `case` is an .npz with ``frames`` (B, 3, 256, 256) float32, ``owners`` (N,) int, the frame of
    each box, and ``boxes`` (N, 4) float32 XYXY. Masks (N, 256, 256) bool go to `answer` (.npy),
    unless a slice takes longer than `limit` seconds: then the preset is given up.
    """

    preset: str
    device: str
    checkpoint: str
    case: str
    answer: str
    limit: float | None = None


@dataclass(frozen=True)
class Speed:
    """The best of some repeats: seconds a slice, seconds a box in batches of 8, seconds to load.

    `decode` is 0 if the preset was given up. `memory` is what loading and running added to the peak
    of the process, in bytes, plus the peak on the GPU where one was used; `device` is the device's
    name for people.
    """

    encode: float
    decode: float
    load: float
    memory: int
    device: str


def measure(job: ChildJob) -> Speed:
    """Load the preset, run the case, write the masks.

    Raises
    ------
    MedSAMLiteError
        If the preset cannot be loaded or run, with the reason.
    """
    before = psutil.Process().memory_info().rss
    with np.load(job.case) as case:
        frames, owners, boxes = case["frames"], case["owners"], case["boxes"]
    start = time.perf_counter()
    checkpoint = find_checkpoint(job.checkpoint)
    backend = load_backend(job.preset, job.device, checkpoint)
    backend.prepare(frames.shape[-1], _say)
    load = time.perf_counter() - start
    _say(f"ready after {load:.0f} s")
    encode, decode = Stopwatch(), Stopwatch()
    embeddings = _encode(backend, frames[:FIRST], encode)
    if job.limit is None or encode.best <= job.limit:
        embeddings += _encode(backend, frames[FIRST:], encode)
        encode.repeat(lambda: backend.encode_images(frames[:1]))
        np.save(job.answer, _masks(backend, [embeddings[i] for i in owners], boxes))
        some = np.arange(BATCH) % len(boxes)
        batch, prompts = [embeddings[i] for i in owners[some]], boxes[some]
        decode.repeat(lambda: backend.decode_boxes(batch, prompts))
    memory = _peak() - before
    return Speed(encode.best, decode.best / BATCH, load, memory, backend.device)


class Stopwatch:
    """The shortest of some repeats: other programs only ever make work longer."""

    def __init__(self) -> None:
        self._times: list[float] = []

    @property
    def best(self) -> float:
        """Seconds; 0 if nothing was timed."""
        return min(self._times, default=0.0)

    def time(self, work: Callable[[], T]) -> T:
        """The answer of `work`, timed."""
        start = time.perf_counter()
        answer = work()
        self._times.append(time.perf_counter() - start)
        return answer

    def repeat(self, work: Callable[[], object]) -> None:
        """Time `work` at least once, and as often as it takes to be sure."""
        while self.best < LONG_S and len(self._times) < REPEATS:
            self.time(work)


def _encode(backend: Backend, frames: Any, stopwatch: Stopwatch) -> list[Any]:
    """The frames' embeddings, each timed."""
    batches = [stopwatch.time(partial(backend.encode_images, frame[None])) for frame in frames]
    return [embedding for batch in batches for embedding in batch]


def _masks(backend: Backend, embeddings: list[Any], boxes: Any) -> NDArray[np.bool_]:
    """A mask (256, 256) a box."""
    logits = [
        backend.decode_boxes(embeddings[i : i + BATCH], boxes[i : i + BATCH])[0]
        for i in range(0, len(boxes), BATCH)
    ]
    masks: NDArray[np.bool_] = np.concatenate(logits) > 0
    return masks


def _peak() -> int:
    """Peak memory of this process and of the GPU as torch knows it, in bytes."""
    torch = sys.modules.get("torch")
    gpu = torch.cuda.max_memory_allocated() if torch and torch.cuda.is_available() else 0
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset) + int(gpu)
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit + int(gpu)


def _say(text: str) -> None:
    _write({"progress": text})


def _write(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Measure the job of the file named first; one JSON object a line goes to standard output."""
    job = ChildJob(**json.loads(Path(sys.argv[1]).read_text()))
    try:
        _write(asdict(measure(job)))
    except MedSAMLiteError as error:
        _write({"reason": str(error)})


if __name__ == "__main__":
    main()
