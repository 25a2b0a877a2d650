"""``medsam-lite bench``: the report's tables on this machine."""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_medsam_lite.acceleration.presets import find_preset
from napari_medsam_lite.cli.options import (
    Commands,
    add_command,
    add_device_option,
    checked,
    count_argument,
    print_json,
    status_line,
)
from napari_medsam_lite.core.files import check_writable
from napari_medsam_lite.core.settings import AUTO
from napari_medsam_lite.io.formats import list_cases


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


def run(args: argparse.Namespace) -> int:
    """Measure, save after each step, print the tables."""
    from napari_medsam_lite.benchmark.report import BenchReport, as_json, save_report, to_markdown
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
    report: BenchReport | None = None
    with status_line("bench") as tell:
        for item in measure(plan):
            if isinstance(item, str):
                tell(item)
            else:
                report = item
                save_report(report, args.output)
    assert report is not None
    if args.json:
        print_json(as_json(report))
    else:
        print(to_markdown(report))
    return 0


def presets_argument(text: str) -> tuple[str, ...]:
    """Names of presets, checked."""
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name != AUTO:
            checked(find_preset, name)
    return names
