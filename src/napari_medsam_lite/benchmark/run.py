"""The whole benchmark, step by step, for the command line and for napari."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from napari_medsam_lite.acceleration.availability import unavailable
from napari_medsam_lite.acceleration.emulated import emulated
from napari_medsam_lite.acceleration.presets import PRESETS
from napari_medsam_lite.acceleration.tuning.calibrate import calibrate
from napari_medsam_lite.acceleration.tuning.measurement import Measurement
from napari_medsam_lite.benchmark.agreement import phantom_case
from napari_medsam_lite.benchmark.report import BenchReport
from napari_medsam_lite.benchmark.speed import PUBLISHED, BatchTime, sample_files, time_batches
from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.core.settings import AUTO, Settings
from napari_medsam_lite.model.weights import find_checkpoint

SAMPLE_FILES = 10
SAMPLE_SLICES = 4


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes
    ----------
    files : tuple of Path
        Cases with boxes or truth; none means ten parts of the built-in phantom.
    presets : tuple of str or None
        Names; None means all that the processor does not only emulate. Those that are not measured
        are named with their reason.
    workers, runs : int
        Processes of each batch, and how often it is timed.
    baseline : bool
        Whether to measure the published way of working first. The presets then propagate masks and
        resolve overlaps as published too, so that their labels can be compared with it.
    attention_runs : int
        Runs of the attention micro-benchmark; 0 leaves it out.
    device : str
        Where to run.
    """

    files: tuple[Path, ...] = ()
    presets: tuple[str, ...] | None = None
    workers: int = 4
    runs: int = 3
    baseline: bool = False
    attention_runs: int = 1000
    device: str = AUTO

    @property
    def named(self) -> tuple[str, ...]:
        """The presets that are asked for."""
        return (*PRESETS, AUTO) if self.presets is None else self.presets

    def reason_against(self, preset: str) -> str | None:
        """One sentence if the preset is not measured, else None."""
        slow = emulated(preset, self.device) if self.presets is None else None
        return unavailable(preset, self.device) or slow

    @property
    def settings(self) -> Settings:
        """How the presets' batches are segmented: as by default, or as published to compare."""
        if self.baseline:
            return Settings(device=self.device, propagation="published", overlap="overwrite")
        return Settings(device=self.device)


def measure(plan: Plan) -> Iterator[str | BenchReport]:
    """Yields what is going on as text, and the report, more complete each time.

    Raises
    ------
    MedSAMLiteError
        If there is nothing to measure.
    """
    with tempfile.TemporaryDirectory() as folder:
        yield "preparing the files"
        files = plan.files or sample_files(Path(folder), SAMPLE_FILES, SAMPLE_SLICES)
        report = BenchReport(len(files), plan.workers, plan.runs)
        report.skipped = {
            name: reason for name in plan.named if (reason := plan.reason_against(name))
        }
        names = [name for name in plan.named if name not in report.skipped]
        yield from _attention(plan, report)
        yield from _presets(plan, names, report)
        names = [name for name in names if name not in report.skipped]
        yield from _batches(plan, [PUBLISHED] * plan.baseline + names, files, report)


def _attention(plan: Plan, report: BenchReport) -> Iterator[str | BenchReport]:
    if not plan.attention_runs:
        return
    yield "timing attention alone"
    from napari_medsam_lite.benchmark.attention import benchmark_attention

    report.attention_runs = plan.attention_runs
    for item in benchmark_attention(plan.attention_runs):
        if isinstance(item, str):
            yield f"timing attention alone: {item}"
        else:
            report.attention[item.way] = round(item.seconds, 3)
    yield report


def _presets(plan: Plan, names: Sequence[str], report: BenchReport) -> Iterator[str | BenchReport]:
    """Seconds a slice and a box, memory and agreement; `auto` knows them from now on."""
    rows: list[Measurement] = []
    fixed = [name for name in names if name != AUTO]
    for item in calibrate(find_checkpoint(), plan.device, phantom_case(), fixed):
        if isinstance(item, str):
            yield item
        else:
            rows.append(item)
    report.skipped |= {row.preset: row.reason for row in rows if row.reason is not None}
    report.presets = [_plain(row) for row in rows if row.reason is None]
    yield report


def _plain(row: Measurement) -> dict[str, Any]:
    plain = asdict(row)
    del plain["reason"]
    return {**plain, "memory": f"{row.memory / 2**20:.0f} MiB"}


def _batches(
    plan: Plan, names: Sequence[str], files: Sequence[Path], report: BenchReport
) -> Iterator[str | BenchReport]:
    if not names:
        raise MedSAMLiteError("None of these presets can be measured here.")
    for item in time_batches(files, names, plan.workers, plan.runs, plan.settings):
        if isinstance(item, BatchTime):
            report.batch.append(item)
            yield report
        else:
            yield item
