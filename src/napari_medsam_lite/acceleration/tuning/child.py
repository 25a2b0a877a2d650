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
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from napari_medsam_lite.acceleration.backend import Backend
from napari_medsam_lite.acceleration.load import load_backend
from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.model.weights import find_checkpoint

REPEATS = 5
BATCH = 8
"""Boxes timed together."""


@dataclass(frozen=True)
class ChildJob:
    """What to measure.

    `case` is an .npz with ``frames`` (B, 3, 256, 256) float32, ``owners`` (N,) int, the frame of
    each box, and ``boxes`` (N, 4) float32 XYXY. Masks (N, 256, 256) bool go to `answer` (.npy).
    """

    preset: str
    device: str
    checkpoint: str
    case: str
    answer: str


@dataclass(frozen=True)
class Speed:
    """The best of some repeats: seconds a slice, seconds a box in batches of 8, seconds to load.

    `memory` is what loading and running added to the peak of the process, in bytes, plus the peak
    on the GPU where one was used; `device` is the device's name for people.
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
    _say("running")
    embeddings = [embedding for frame in frames for embedding in backend.encode_images(frame[None])]
    picked = [embeddings[owner] for owner in owners]
    logits = [
        backend.decode_boxes(picked[i : i + BATCH], boxes[i : i + BATCH])[0]
        for i in range(0, len(boxes), BATCH)
    ]
    np.save(job.answer, np.concatenate(logits) > 0)
    return Speed(*_time(backend, frames, picked, boxes), load, _peak() - before, backend.device)


def _time(backend: Backend, frames: Any, embeddings: list[Any], boxes: Any) -> tuple[float, float]:
    """Seconds a slice and seconds a box."""
    filled = np.arange(BATCH) % len(boxes)
    batch, prompts = [embeddings[i] for i in filled], boxes[filled]
    encode = _best(lambda: backend.encode_images(frames[:1]))
    return encode, _best(lambda: backend.decode_boxes(batch, prompts)) / BATCH


def _best(work: Callable[[], object]) -> float:
    """The shortest of some repeats: other programs only ever make it longer."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


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
