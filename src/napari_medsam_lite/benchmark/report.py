"""The tables and the picture of a benchmark, beside the figures of the report it follows.

The report, "Improving Inference With MedSAM Lite", measured on an RTX 4050 laptop with Windows:
its seconds can be compared with each other, not with those of another machine.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from napari_medsam_lite import __version__
from napari_medsam_lite.benchmark.markdown import number, table
from napari_medsam_lite.benchmark.saving import save_files
from napari_medsam_lite.benchmark.speed import BatchTime
from napari_medsam_lite.core.cores import usable_cores

REPORTED_BATCH = {
    "none": 81.18,
    "torch.compile": 79.22,
    "int8 weight-only": 90.53,
    "scaled dot product attention": 74.44,
}
REPORTED_ATTENTION = {"none": 2.31, "nested": 14.49, "sdpa": 1.25, "sdpa + nested": 1.16}
REPORTED_ON = "RTX 4050 laptop, Windows; 10 CT files, 4 workers, mean of 3 runs"

WIDTH, BAR, GAP, LEFT, TOP = 960, 26, 10, 260, 46
OURS, THEIRS, INK, PAPER = "#2b6cb0", "#a0aec0", "#1a202c", "#ffffff"


@dataclass
class BenchReport:
    """All that a benchmark measured.

    Attributes
    ----------
    files, workers, runs : int
        What each batch was.
    batch : list of BatchTime
        One a way of working.
    skipped : dict
        Preset -> the sentence on why it was not measured.
    attention : dict
        Way of computing attention -> seconds, of `attention_runs` runs.
    presets : list of dict
        Seconds a slice and a box, memory and agreement of each preset.
    """

    files: int
    workers: int
    runs: int
    batch: list[BatchTime] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    attention: dict[str, float] = field(default_factory=dict)
    attention_runs: int = 0
    presets: list[dict[str, Any]] = field(default_factory=list)
    machine: dict[str, str] = field(default_factory=lambda: describe_machine())


def describe_machine() -> dict[str, str]:
    """What the figures depend on."""
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": str(usable_cores()),
        "system": platform.platform(),
        "python": platform.python_version(),
        "napari-medsam-lite": __version__,
        **{name: metadata.version(name) for name in ("torch", "openvino", "numpy")},
    }


def save_report(report: BenchReport, folder: str | Path) -> None:
    """Write bench.json, bench.md and bench.png into `folder`.

    Raises
    ------
    FileFormatError
        If they cannot be written.
    """
    save_files(folder, as_json(report), to_markdown(report), to_picture(report), "bench.png")


def as_json(report: BenchReport) -> dict[str, Any]:
    """The report as plain values."""
    content = asdict(report)
    for row, plain in zip(report.batch, content["batch"], strict=True):
        plain["mean_seconds"] = row.mean_seconds
    return content


def to_markdown(report: BenchReport) -> str:
    """The report's tables."""
    machine = ", ".join(f"{key} {value}" for key, value in report.machine.items())
    parts = [f"# Benchmark\n\n{machine}\n", _batch_table(report)]
    if report.presets:
        parts.append(_presets_table(report.presets))
    if report.attention:
        parts.append(_attention_table(report))
    if report.skipped:
        lines = [f"- {name}: {reason}" for name, reason in report.skipped.items()]
        parts.append("## Not measured\n\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def _batch_table(report: BenchReport) -> str:
    first = report.batch[0].mean_seconds if report.batch else 0.0
    rows = [
        [
            row.name,
            f"{row.mean_seconds:.2f}",
            f"{first / row.mean_seconds:.1f} x",
            f"{row.peak_mib:.0f}",
            number(row.agreement),
            number(row.dice),
        ]
        for row in report.batch
    ]
    head = ["way", "seconds", "speed", "peak MiB", "Dice with the first", "Dice with the truth"]
    title = f"## {report.files} files, {report.workers} workers, mean of {report.runs} runs\n\n"
    reported = [[name, f"{seconds:.2f}"] for name, seconds in REPORTED_BATCH.items()]
    beside = f"\nAs reported ({REPORTED_ON}):\n\n" + table(["way", "seconds"], reported)
    return title + table(head, rows) + beside


def _presets_table(presets: Sequence[dict[str, Any]]) -> str:
    head = list(presets[0])
    rows = [[_text(preset.get(key)) for key in head] for preset in presets]
    return "## Presets\n\n" + table(head, rows)


def _attention_table(report: BenchReport) -> str:
    rows = [
        [name, f"{seconds:.2f}", number(REPORTED_ATTENTION.get(name), 2)]
        for name, seconds in report.attention.items()
    ]
    title = f"## Attention alone, {report.attention_runs} runs\n\n"
    return title + table(["way", "seconds here", "seconds reported (1,000 runs)"], rows)


def _text(value: Any) -> str:
    return number(value, 4) if isinstance(value, float) else "" if value is None else str(value)


def to_picture(report: BenchReport) -> Image.Image:
    """Bars of the batch times, and those reported beside, marked as another machine's."""
    ours = [(row.name, row.mean_seconds) for row in report.batch]
    theirs = list(REPORTED_BATCH.items())
    bars = len(ours) + len(theirs)
    picture = Image.new("RGB", (WIDTH, 2 * TOP + bars * (BAR + GAP) + 2 * GAP), PAPER)
    draw = ImageDraw.Draw(picture)
    y = _bars(draw, 0, f"Seconds here ({report.files} files)", ours, OURS)
    _bars(draw, y, f"Seconds reported, another machine ({REPORTED_ON})", theirs, THEIRS)
    return picture


def _bars(
    draw: ImageDraw.ImageDraw, y: int, title: str, bars: Sequence[tuple[str, float]], colour: str
) -> int:
    """Draw one group of bars from `y` down, scaled to itself; where it ends."""
    font = ImageFont.load_default(15)
    draw.text((GAP, y + TOP - 30), title, INK, font)
    y += TOP
    longest = max((seconds for _, seconds in bars), default=1.0)
    for name, seconds in bars:
        length = (WIDTH - LEFT - 100) * seconds / longest
        draw.text((GAP, y + 4), name, INK, font)
        draw.rectangle((LEFT, y, LEFT + length, y + BAR), colour)
        draw.text((LEFT + length + 8, y + 4), f"{seconds:.2f}", INK, font)
        y += BAR + GAP
    return y + GAP
