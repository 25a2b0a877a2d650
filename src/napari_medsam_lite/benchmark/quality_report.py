"""The tables of a quality measurement, and its files."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from napari_medsam_lite.benchmark.markdown import number, table
from napari_medsam_lite.benchmark.quality_picture import to_picture
from napari_medsam_lite.benchmark.report import describe_machine
from napari_medsam_lite.benchmark.saving import save_files
from napari_medsam_lite.benchmark.scores import ObjectScore, QualityReport, WayScore, mean_of
from napari_medsam_lite.benchmark.ways import WAYS

SCORES = {
    "dice": "Dice",
    "nsd": "NSD 2 mm",
    "map_dice": "Dice, label map",
    "map_nsd": "NSD 2 mm, label map",
}
"""Attribute of `ObjectScore` -> column."""


def save_quality(report: QualityReport, folder: str | Path) -> None:
    """Write bench.json, bench.md and bench-quality.png into `folder`.

    Raises
    ------
    FileFormatError
        If they cannot be written.
    """
    save_files(
        folder, as_json(report), to_markdown(report), to_picture(report), "bench-quality.png"
    )


def as_json(report: QualityReport) -> dict[str, Any]:
    """The report as plain values, with the means of each way over all objects."""
    means = {
        name: {
            **{what: mean_of(scores, what) for what in SCORES},
            "seconds": sum(score.seconds for score in scores),
            "slices_encoded": sum(score.slices_encoded for score in scores),
            "boxes_decoded": sum(score.boxes_decoded for score in scores),
        }
        for name, scores in report.by_way().items()
    }
    return {**asdict(report), "machine": describe_machine(), "means": means}


def to_markdown(report: QualityReport) -> str:
    """One table of all ways, then one of the objects of each case."""
    machine = ", ".join(f"{key} {value}" for key, value in describe_machine().items())
    parts = [f"# Quality\n\n{machine}\n", _told(report), _ways_table(report)]
    parts += [_objects_tables(report, case["name"]) for case in report.cases]
    return "\n".join(parts)


def _told(report: QualityReport) -> str:
    drawing = report.drawing
    drawn = (
        f"{drawing.margin} voxels out"
        if drawing.loose is None
        else f"0 to {drawing.loose} voxels out by chance, seed {drawing.seed}"
    )
    lines = [
        f"- {case['name']}: {' x '.join(map(str, case['shape']))} voxels of "
        f"{' x '.join(f'{size:.2f}' for size in case['spacing'])} mm (z, y, x), "
        f"objects: {case['objects']} measured, {case['left_out']} too small"
        for case in report.cases
    ]
    first = f"Preset {report.preset} on {report.device}, window {report.window}, boxes {drawn}.\n"
    return first + "\n" + "\n".join(lines) + "\n"


def _ways_table(report: QualityReport) -> str:
    drawn = {way.name: way.drawn for way in WAYS}
    head = ["way", "drawn for each object", *SCORES.values(), "seconds", "encodings", "decodes"]
    rows = [
        [
            name,
            drawn.get(name, ""),
            *(number(mean_of(scores, what)) for what in SCORES),
            number(sum(score.seconds for score in scores), 1),
            str(sum(score.slices_encoded for score in scores)),
            str(sum(score.boxes_decoded for score in scores)),
        ]
        for name, scores in report.by_way().items()
    ]
    return "## Mean over all objects\n\n" + table(head, rows)


def _objects_tables(report: QualityReport, case: str) -> str:
    """A row an object, a column a way; single slices are rows of a table of their own."""
    by_rows: dict[tuple[str, ...], list[WayScore]] = {}
    for score in report.scores:
        if score.case == case:
            by_rows.setdefault(tuple(one.name for one in score.objects), []).append(score)
    tables = [
        table(
            ["Dice / NSD 2 mm", *(score.way for score in scores)],
            [
                [name, *(_cell(score.objects[row]) for score in scores)]
                for row, name in enumerate(names)
            ],
        )
        for names, scores in by_rows.items()
    ]
    return "\n".join([f"## {case}\n", *tables])


def _cell(one: ObjectScore) -> str:
    return number(one.dice) if one.nsd is None else f"{number(one.dice)} / {number(one.nsd)}"
