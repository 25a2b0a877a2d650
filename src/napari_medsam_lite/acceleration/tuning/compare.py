"""Every preset measured on this machine, and its masks compared with those of ``eager``."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.acceleration.availability import unavailable
from napari_medsam_lite.acceleration.ct_like import ct_like_frames
from napari_medsam_lite.acceleration.presets import PRESETS
from napari_medsam_lite.acceleration.tuning.child import ChildJob
from napari_medsam_lite.acceleration.tuning.measurement import Measurement
from napari_medsam_lite.core.agreement import dice
from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.core.settings import AUTO
from napari_medsam_lite.model.weights import Checkpoint

REFERENCE = "eager"
TOO_SLOW = 2
"""A preset that takes this many times as long as the fastest is given up."""
POLL_S = 0.2


@dataclass(frozen=True)
class CalibrationCase:
    """What to measure on.

    `frames` (B, 3, 256, 256) float32 in [0, 1]; `owners` (N,) the frame of each box; `boxes` (N, 4)
    float32 XYXY in frame pixels.
    """

    frames: NDArray[np.float32]
    owners: NDArray[np.int64]
    boxes: NDArray[np.float32]


def measure_presets(
    checkpoint: Checkpoint,
    device: str = AUTO,
    case: CalibrationCase | None = None,
    presets: Iterable[str] = tuple(PRESETS),
    keep: Path | None = None,
    stop_slow: bool = False,
) -> Generator[str | Measurement, None, None]:
    """Measure the presets, each in a process of its own, which ends when this is closed.

    Parameters
    ----------
    checkpoint : Checkpoint
        The weights.
    device : str
        Where to measure; presets that do not run there say so.
    case : CalibrationCase or None
        Real slices with boxes are best; None takes synthetic ones.
    presets : iterable of str
        Names, in the order to measure them; ``eager`` is always measured, as the reference, and
        first.
    keep : Path or None
        A folder to leave the masks in, ``<preset>.npy`` (N, 256, 256) bool.
    stop_slow : bool
        Whether to give up, after its first slices, what takes twice as long as the fastest so far
        that ``auto`` may choose.

    Yields
    ------
    str or Measurement
        What is going on, several times a second; and one answer a preset, in that order.

    Raises
    ------
    MedSAMLiteError
        If ``eager`` itself cannot be measured.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = keep or Path(temporary)
        np.savez(folder / "case.npz", **asdict(case or synthetic_case()))
        best: Measurement | None = None
        for name in dict.fromkeys((REFERENCE, *presets)):
            beaten_by = best if stop_slow else None
            found = yield from _one(name, device, checkpoint, folder, beaten_by)
            if name == REFERENCE and found.reason:
                raise MedSAMLiteError(f"{REFERENCE} cannot be measured: {found.reason}")
            if found.for_auto and (best is None or found.cost < best.cost):
                best = found
            yield found


def synthetic_case(frames: int = 4) -> CalibrationCase:
    """CT-like frames with two boxes each."""
    boxes = np.array([[80, 80, 140, 150], [100, 60, 190, 130]], np.float32)
    owners = np.repeat(np.arange(frames), len(boxes))
    return CalibrationCase(ct_like_frames(frames), owners, np.tile(boxes, (frames, 1)))


def _one(
    name: str, device: str, checkpoint: Checkpoint, folder: Path, best: Measurement | None
) -> Generator[str, None, Measurement]:
    """Measure a preset; one that is no match for `best` is given up."""
    reason = unavailable(name, device)
    if reason:
        return Measurement(name, reason)
    yield f"measuring {name}"
    case, masks_file = folder / "case.npz", folder / f"{name}.npy"
    # A slice alone against the whole of the best: what takes longer can never be the fastest.
    limit = None if best is None else TOO_SLOW * best.cost
    job = ChildJob(name, device, str(checkpoint.path), str(case), str(masks_file), limit)
    answer = yield from _in_own_process(job, folder / "job.json")
    if "reason" in answer:
        return Measurement(name, str(answer["reason"]))
    if best is not None and not answer["decode"]:
        times = answer["encode"] / best.encode
        reason = f"Stopped: a slice takes {times:.1f} x as long as with {best.preset}."
        return Measurement(name, reason, **answer)
    masks, wanted = np.load(masks_file), np.load(folder / f"{REFERENCE}.npy")
    agreement = float(np.mean([dice(a, b) for a, b in zip(masks, wanted, strict=True)]))
    return Measurement(name, agreement=agreement, **answer)


def _in_own_process(job: ChildJob, file: Path) -> Generator[str, None, dict[str, Any]]:
    """The last line that the measuring process prints; it says ``reason`` if something failed."""
    file.write_text(json.dumps(asdict(job)))
    command = [sys.executable, "-m", "napari_medsam_lite.acceleration.tuning.child", str(file)]
    answer: dict[str, Any] = {}
    errors, doing = file.with_suffix(".err"), f"measuring {job.preset}"
    with (
        errors.open("w") as stderr,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as process,
    ):
        try:
            for line in _lines(process):
                if line.startswith("{"):
                    answer = json.loads(line)
                    if "progress" in answer:
                        doing = f"measuring {job.preset}: {answer['progress']}"
                yield doing
        finally:
            process.kill()
    if process.returncode or not answer or "progress" in answer:
        said = errors.read_text().strip().splitlines() or [f"exit status {process.returncode}"]
        return {"reason": f"The preset {job.preset} failed: {said[-1]}"}
    return answer


def _lines(process: subprocess.Popen[str]) -> Iterator[str]:
    """What the process prints, line by line; "" when it has been silent for a moment."""
    lines: SimpleQueue[str | None] = SimpleQueue()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.put(line)
        lines.put(None)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    while True:
        try:
            line = lines.get(timeout=POLL_S)
        except Empty:
            yield ""
            continue
        if line is None:
            break
        yield line
    reader.join()
    process.wait()
