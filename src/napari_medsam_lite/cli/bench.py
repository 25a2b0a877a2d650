"""``medsam-lite bench``: the report's tables on this machine, and the quality of the masks."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from napari_medsam_lite.acceleration.presets import find_preset
from napari_medsam_lite.benchmark.drawing import AS_DRAWN, Drawing
from napari_medsam_lite.benchmark.ways import WAYS, find_ways
from napari_medsam_lite.cli.options import (
    WINDOW_HELP,
    Commands,
    add_command,
    add_device_option,
    checked,
    count_argument,
    print_json,
    status_line,
    window_argument,
)
from napari_medsam_lite.core.files import check_writable
from napari_medsam_lite.core.settings import AUTO
from napari_medsam_lite.io.folders import list_cases

Report = TypeVar("Report")


def add_commands(commands: Commands) -> None:
    """Add ``bench``."""
    parser = add_command(
        commands,
        "bench",
        "time the presets on this machine and compare their masks",
        "medsam-lite bench -o bench --presets eager,sdpa,auto --runs 1",
        run,
    )
    add = parser.add_argument
    add("-o", "--output", default="bench", help="folder for bench.json, bench.md and bench.png")
    add("--input", metavar="DIR", help="cases with boxes; default: parts of the built-in sample")
    add(
        "--presets",
        type=presets_argument,
        help="names with commas; default: all that this processor does not only emulate",
    )
    add("--runs", type=count_argument("runs"), default=3, help="runs of each batch; default: 3")
    add("--workers", type=count_argument("processes"), default=4, help="processes; default: 4")
    add(
        "--attention-runs",
        type=count_argument("runs", least=0),
        default=1000,
        help="of the micro-benchmark; 0: leave it out",
    )
    add("--baseline", choices=["published"], help="also time the published way of working")
    add_device_option(parser)
    add_quality_options(parser)
    parser.set_defaults(misused=parser.error)


def add_quality_options(parser: argparse.ArgumentParser) -> None:
    """What is measured with --quality."""
    add = parser.add_argument_group("quality of the masks").add_argument
    add(
        "--quality",
        action="store_true",
        help="compare ways of prompting with the truth: .npz files with gts, or folders with "
        "ct.nii.gz and labels.nii.gz, in --input",
    )
    add(
        "--pairs",
        nargs=2,
        action="append",
        default=[],
        metavar=("IMAGE", "LABELS"),
        help="one more case; may be repeated",
    )
    add(
        "--ways",
        type=lambda text: checked(find_ways, text),
        default=WAYS,
        help=f"names with commas, of {', '.join(way.name for way in WAYS)}; default: all",
    )
    add("--window", type=window_argument, default=AUTO, help=WINDOW_HELP)
    add(
        "--margin",
        type=count_argument("voxels", least=0),
        default=AS_DRAWN.margin,
        help=f"how far boxes lie from the object; default: {AS_DRAWN.margin}",
    )
    add(
        "--loose",
        nargs=2,
        type=count_argument("voxels, and a seed", least=0),
        metavar=("N", "SEED"),
        help="instead: each side 0 to N voxels too far out, by chance",
    )


def run(args: argparse.Namespace) -> int:
    """Measure, save after each step, print the tables."""
    if args.quality:
        return run_quality(args)
    if args.pairs:
        args.misused("--pairs is for --quality.")
    from napari_medsam_lite.benchmark.report import as_json, save_report, to_markdown
    from napari_medsam_lite.benchmark.run import Plan, measure

    check_writable(Path(args.output) / "bench.json")
    plan = Plan(
        files=tuple(list_cases(args.input)) if args.input else (),
        presets=args.presets,
        workers=args.workers,
        runs=args.runs,
        baseline=args.baseline is not None,
        attention_runs=args.attention_runs,
        device=args.device,
    )
    report = follow(measure(plan), lambda so_far: save_report(so_far, args.output))
    if args.json:
        print_json(as_json(report))
    else:
        print(to_markdown(report))
    return 0


def run_quality(args: argparse.Namespace) -> int:
    """Compare ways of prompting, save after each, print the tables."""
    from napari_medsam_lite.benchmark.quality import QualityPlan, measure_quality
    from napari_medsam_lite.benchmark.quality_report import as_json, save_quality, to_markdown
    from napari_medsam_lite.benchmark.truth import TruthFiles, find_truth

    if not args.input and not args.pairs:
        args.misused("--quality needs --input FOLDER or --pairs IMAGE LABELS.")
    presets = args.presets or (AUTO,)
    if len(presets) > 1:
        args.misused("--quality measures with one preset; name it with --presets.")
    check_writable(Path(args.output) / "bench.json")
    loose, seed = args.loose or (None, 0)
    plan = QualityPlan(
        cases=(
            *(find_truth(args.input) if args.input else ()),
            *(TruthFiles(Path(image), Path(labels)) for image, labels in args.pairs),
        ),
        ways=args.ways,
        drawing=Drawing(args.margin, loose, seed),
        window=args.window,
        preset=presets[0],
        device=args.device,
    )
    report = follow(measure_quality(plan), lambda so_far: save_quality(so_far, args.output))
    if args.json:
        print_json(as_json(report))
    else:
        print(to_markdown(report))
    return 0


def follow(steps: Iterable[str | Report], save: Callable[[Report], None]) -> Report:
    """Tell what is going on, save each report; the last one."""
    report: Report | None = None
    with status_line("bench") as tell:
        for item in steps:
            if isinstance(item, str):
                tell(item)
            else:
                report = item
                save(report)
    assert report is not None
    return report


def presets_argument(text: str) -> tuple[str, ...]:
    """Names of presets, checked."""
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name != AUTO:
            checked(find_preset, name)
    return names
