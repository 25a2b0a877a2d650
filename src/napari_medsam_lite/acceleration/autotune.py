"""Which preset is fastest on this machine: measured, checked against ``eager``, remembered.

The answer is kept in the user's cache folder, for this hardware, these versions, this checkpoint.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
import platformdirs
import psutil
from numpy.typing import NDArray

from napari_medsam_lite.acceleration.availability import no_cuda, unavailable
from napari_medsam_lite.acceleration.calibration import ct_like_frames
from napari_medsam_lite.acceleration.measuring import Job
from napari_medsam_lite.acceleration.presets import AUTO, PRESETS
from napari_medsam_lite.core.agreement import dice
from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.model.weights import Checkpoint

REFERENCE = "eager"
ENOUGH = 0.97
"""The agreement with ``eager`` that ``auto`` asks for."""

WARN_BELOW = 0.95

BOXES_A_SLICE = 2
"""What counts as fastest: the time of one slice and this many boxes."""

ONCE = "once"
"""How the progress of work ends whose result is kept."""

POLL_S = 0.2


@dataclass(frozen=True)
class Case:
    """What to measure on.

    `frames` (B, 3, 256, 256) float32 in [0, 1]; `owners` (N,) the frame of each box; `boxes` (N, 4)
    float32 XYXY in frame pixels.
    """

    frames: NDArray[np.float32]
    owners: NDArray[np.int64]
    boxes: NDArray[np.float32]


@dataclass(frozen=True)
class Measurement:
    """A preset on this machine: its figures, or the `reason` why it has none.

    `encode` seconds a slice, `decode` seconds a box in batches of 8, `load` seconds to get ready,
    `memory` bytes added at the peak, `agreement` mean mask Dice with ``eager`` for the same boxes.
    """

    preset: str
    reason: str | None = None
    device: str = ""
    encode: float = 0.0
    decode: float = 0.0
    load: float = 0.0
    memory: int = 0
    agreement: float = 0.0

    @property
    def warning(self) -> str | None:
        """One sentence where the masks are not those of ``eager`` any more, else None."""
        if self.reason is not None or self.agreement >= WARN_BELOW:
            return None
        mean = f"{self.agreement:.2f}"
        return f"The preset {self.preset} changes the masks: mean Dice with eager {mean}."

    @property
    def cost(self) -> float:
        """Seconds for one slice with some boxes: what presets are ranked by."""
        return self.encode + BOXES_A_SLICE * self.decode


def best_preset(checkpoint: Checkpoint, device: str = AUTO) -> str:
    """The fastest measured preset that agrees with ``eager``; unmeasured, a sensible start.

    Only presets that are still available count, and those that ``auto`` may choose.
    """
    good = [
        found
        for found in remembered(checkpoint, device).values()
        if found.reason is None
        and found.agreement >= ENOUGH
        and PRESETS[found.preset].by_auto
        and unavailable(found.preset, device) is None
    ]
    return min(good, key=lambda found: found.cost).preset if good else sensible_start(device)


def sensible_start(device: str = AUTO) -> str:
    """The preset to start with before this machine is measured."""
    if device.split(":")[0] in (AUTO, "cuda") and no_cuda() is None:
        return "bf16"
    return "openvino" if unavailable("openvino", device) is None else "sdpa"


def calibrate(
    checkpoint: Checkpoint,
    device: str = AUTO,
    case: Case | None = None,
    presets: Iterable[str] = tuple(PRESETS),
    keep: Path | None = None,
) -> Iterator[str | Measurement]:
    """Measure the presets and remember each answer; yields what is going on, and the answers.

    It yields several times a second, and closing it ends the process that measures; what is done
    is remembered.

    Parameters
    ----------
    checkpoint : Checkpoint
        The weights.
    device : str
        Where to measure; presets that do not run there say so.
    case : Case or None
        Real slices with boxes are best; None takes synthetic ones.
    presets : iterable of str
        Names; ``eager`` is always measured, as the reference, and first.
    keep : Path or None
        A folder to leave the masks in, ``<preset>.npy`` (N, 256, 256) bool.

    Yields
    ------
    str
        What is going on, in a few words.
    Measurement
        One a preset, in the order of `PRESETS`.

    Raises
    ------
    MedSAMLiteError
        If ``eager`` itself cannot be measured.
    """
    chosen = set(presets) | {REFERENCE}
    with tempfile.TemporaryDirectory() as temporary:
        folder = keep or Path(temporary)
        np.savez(folder / "case.npz", **asdict(case or synthetic_case()))
        for name in (name for name in PRESETS if name in chosen):
            found = yield from _one(name, device, checkpoint, folder)
            if name == REFERENCE and found.reason:
                raise MedSAMLiteError(f"{REFERENCE} cannot be measured: {found.reason}")
            _remember([found], checkpoint, device)
            yield found


def synthetic_case() -> Case:
    """Four CT-like frames with two boxes each."""
    boxes = np.array([[80, 80, 140, 150], [100, 60, 190, 130]], np.float32)
    return Case(ct_like_frames(4), np.repeat(np.arange(4), 2), np.tile(boxes, (4, 1)))


def _one(
    name: str, device: str, checkpoint: Checkpoint, folder: Path
) -> Generator[str, None, Measurement]:
    reason = unavailable(name, device)
    if reason:
        return Measurement(name, reason)
    yield f"measuring {name}"
    job = Job(
        name, device, str(checkpoint.path), str(folder / "case.npz"), str(folder / f"{name}.npy")
    )
    answer = yield from _in_own_process(job, folder / "job.json")
    if "reason" in answer:
        return Measurement(name, str(answer["reason"]))
    masks, wanted = np.load(job.answer), np.load(folder / f"{REFERENCE}.npy")
    agreement = float(np.mean([dice(a, b) for a, b in zip(masks, wanted, strict=True)]))
    return Measurement(name, agreement=agreement, **answer)


def _in_own_process(job: Job, file: Path) -> Generator[str, None, dict[str, Any]]:
    """The last line that the measuring process prints; it says ``reason`` if something failed."""
    file.write_text(json.dumps(asdict(job)))
    command = [sys.executable, "-m", "napari_medsam_lite.acceleration.measuring", str(file)]
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


def remembered(checkpoint: Checkpoint, device: str = AUTO) -> dict[str, Measurement]:
    """What was measured on this machine with these versions and this checkpoint, by preset."""
    try:
        rows = json.loads(_file(checkpoint, device).read_text())
        return {row["preset"]: Measurement(**row) for row in rows}
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def _remember(found: list[Measurement], checkpoint: Checkpoint, device: str) -> None:
    """Add to what is remembered; a reader sees the old answer or the new one, never half of it."""
    rows = remembered(checkpoint, device) | {row.preset: row for row in found}
    file = _file(checkpoint, device)
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False) as unfinished:
        json.dump([asdict(row) for row in rows.values()], unfinished, indent=1)
    Path(unfinished.name).replace(file)


def _file(checkpoint: Checkpoint, device: str) -> Path:
    root = Path(platformdirs.user_cache_dir("napari-medsam-lite", appauthor=False), "calibration")
    parts = (*_machine(), device, checkpoint.sha256[:16])
    return root / ("-".join("".join(c if c.isalnum() else "_" for c in p) for p in parts) + ".json")


@cache
def _machine() -> tuple[str, ...]:
    """Processor, cores and the versions that the figures depend on."""
    versions = []
    for name in ("napari-medsam-lite", "torch", "openvino", "torchao"):
        try:
            versions.append(metadata.version(name))
        except metadata.PackageNotFoundError:
            versions.append("none")
    return (_processor(), str(psutil.cpu_count() or 0), *versions)


def _processor() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
