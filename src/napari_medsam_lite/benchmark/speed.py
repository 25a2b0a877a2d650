"""Batch time: whole processes over the same files, one way of working after another.

Each way is the command that a user would type, in a process of its own, so that imports, loading,
reading and writing are in the time, and one way's warm caches in memory do not help the next.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean

import numpy as np
import psutil

from napari_medsam_lite.core.agreement import dice_by_label
from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.core.settings import Settings
from napari_medsam_lite.io.formats import read_case, read_labels

PUBLISHED = "published"
"""The name of the published way of working among the presets."""

DEFAULTS = Settings()
POLL_S = 0.1
MEBI = 2**20


@dataclass
class BatchTime:
    """What one way of working took.

    Attributes
    ----------
    name : str
        A preset, or `PUBLISHED`.
    seconds : list of float
        Wall time of each run.
    peak_mib : float
        Most memory resident at once, in all its processes, in MiB; pages that processes share
        count in each.
    agreement : float or None
        Mean Dice of its labels with those of the first way measured.
    dice : float or None
        Mean Dice with the truth, where the files carry one.
    """

    name: str
    seconds: list[float] = field(default_factory=list)
    peak_mib: float = 0.0
    agreement: float | None = None
    dice: float | None = None

    @property
    def mean_seconds(self) -> float:
        """Mean over the runs."""
        return mean(self.seconds)


def time_batches(
    files: Sequence[Path],
    names: Sequence[str],
    workers: int,
    runs: int,
    settings: Settings = DEFAULTS,
) -> Iterator[str | BatchTime]:
    """Measure each of `names`; yields what is going on as text, often, and each result.

    Closing the iterator ends the process that is being measured. `settings` hold for every preset,
    each in its turn taking the place of theirs.

    Raises
    ------
    MedSAMLiteError
        If a way of working fails; its own sentence.
    """
    with tempfile.TemporaryDirectory() as folder:
        first: Path | None = None
        for name in names:
            row = BatchTime(name)
            for run in range(1, runs + 1):
                output = Path(folder) / name / str(run)
                command = _command(name, files, output, workers, settings)
                for second in _run(command, row):
                    yield f"{name}, run {run} of {runs}: {second:.0f} s"
            first = first or output
            row.agreement = compare(files, output, first)
            row.dice = compare_with_truth(files, output)
            yield row


def sample_files(folder: Path, count: int, slices: int) -> list[Path]:
    """`count` cases of `slices` slices of the built-in phantom, with its truth as prompts."""
    from dataclasses import replace

    from napari_medsam_lite.core.window import parse_window
    from napari_medsam_lite.sample.ct import ct_phantom

    sample = ct_phantom()
    limits = parse_window(None, sample.volume).fit(sample.volume)
    eight_bit = limits.to_uint8(np.asarray(sample.volume.data))
    starts = np.linspace(0, len(eight_bit) - slices, count).astype(int)
    files = []
    for i, start in enumerate(starts):
        part = slice(start, start + slices)
        path = folder / f"CT_phantom_{i:02d}.npz"
        volume = replace(sample.volume, data=eight_bit[part], source=None)
        np.savez_compressed(
            path, imgs=eight_bit[part], gts=sample.truth[part], spacing=volume.spacing[::-1]
        )
        files.append(path)
    return files


def compare(files: Sequence[Path], output: Path, reference: Path) -> float:
    """Mean Dice, over files and labels, of the answers in `output` and in `reference`."""
    values = [
        value
        for path in files
        for value in dice_by_label(
            read_labels(output / path.name), read_labels(reference / path.name)
        ).values()
    ]
    return mean(values) if values else 1.0


def compare_with_truth(files: Sequence[Path], output: Path) -> float | None:
    """Mean Dice with the truth that the files carry; None if none does."""
    values: list[float] = []
    for path in files:
        truth = read_case(path).gts
        if truth is not None:
            values += dice_by_label(read_labels(output / path.name), truth).values()
    return mean(values) if values else None


def _command(
    name: str, files: Sequence[Path], output: Path, workers: int, settings: Settings
) -> list[str]:
    inputs = [str(path) for path in files]
    python = [sys.executable, "-m"]
    if name == PUBLISHED:
        script = [*python, "napari_medsam_lite.benchmark.published", *inputs, "-o", f"{output}"]
        # It knows torch's devices alone, and takes the processor unless it is told.
        on_gpu = settings.device.partition(":")[0] in ("cuda", "mps")
        return [*script, "--device", settings.device] if on_gpu else script
    options = {
        "-o": str(output),
        "--preset": name,
        "--device": settings.device,
        "--propagation": settings.propagation,
        "--overlap": settings.overlap,
        "--workers": str(workers),
    }
    words = [word for option in options.items() for word in option]
    return [*python, "napari_medsam_lite", "segment", *inputs, *words]


def _run(command: Sequence[str], row: BatchTime) -> Iterator[float]:
    """Run `command` to its end; yields the seconds so far, and adds its time and peak to `row`."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        while process.poll() is None:
            row.peak_mib = max(row.peak_mib, _resident(process.pid) / MEBI)
            time.sleep(POLL_S)
            yield time.perf_counter() - start
        row.seconds.append(time.perf_counter() - start)
        errors = process.stderr.read() if process.stderr else ""
        if process.returncode:
            last = (errors.strip().splitlines() or ["it gave no reason"])[-1]
            raise MedSAMLiteError(f"{row.name} failed: {last}")
    finally:
        _end(process)


def _resident(pid: int) -> int:
    """Bytes resident in a process and those it started."""
    total = 0
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for member in family:
        try:
            total += int(member.memory_info().rss)
        except psutil.Error:
            continue
    return total


def _end(process: subprocess.Popen[str]) -> None:
    """End a process and those it started, if it is still there."""
    if process.poll() is None:
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
        process.kill()
    process.wait()
    if process.stderr is not None:
        process.stderr.close()
