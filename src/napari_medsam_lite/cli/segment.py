"""``medsam-lite segment``: files in, label files out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_medsam_lite.cli.cases import CaseFiles, CaseRunner, Report, Settings
from napari_medsam_lite.cli.options import (
    WINDOW_HELP,
    Commands,
    add_command,
    add_model_options,
    box_argument,
    print_json,
    progress_bar,
    window_argument,
    workers_argument,
)
from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.core.settings import AUTO
from napari_medsam_lite.engine.batch import (
    Outcome,
    run_in_processes,
    run_on_cluster,
    run_overlapped,
)
from napari_medsam_lite.io.boxes import read_boxes
from napari_medsam_lite.io.formats import SUFFIXES, file_suffix, list_cases
from napari_medsam_lite.io.runfile import load_run

OVERLAPS = ("later", "earlier", "logit")
PROPAGATIONS = ("published", "guided")


def add_commands(commands: Commands) -> None:
    """Add ``segment``."""
    parser = add_command(
        commands,
        "segment",
        "segment .npz and .nii[.gz] files, or folders of them",
        "medsam-lite segment ct.nii.gz -o liver.nii.gz --box 40,60,10,180,200,50 --window liver",
        run,
    )
    add = parser.add_argument
    add("inputs", nargs="+", metavar="INPUT", help="files, or folders of files")
    add("-o", "--output", required=True, help="a file for one input, or a folder")
    add(
        "--box",
        type=box_argument,
        action="append",
        default=[],
        metavar="x0,y0,z0,x1,y1,z1",
        help="inclusive voxel corners; give it once an object",
    )
    add("--boxes", metavar="FILE", help="boxes from a .json or .csv file")
    add("--run", metavar="FILE", help="do again what a run.json says")
    add("--window", type=window_argument, help=WINDOW_HELP)
    add("--axis", type=int, choices=(0, 1, 2), help="of the slices; default 0")
    add("--propagation", choices=PROPAGATIONS, help="default: published")
    add("--overlap", choices=OVERLAPS, help="which object wins; default: later")
    add("--overlay", metavar="PNG", help="a picture too (a folder for many)")
    add("--overwrite", action="store_true", help="replace labels that are there already")
    add("--workers", type=workers_argument, default=1, help="processes; default: 1")
    add("--scheduler", metavar="ADDRESS", help="run on this Dask cluster instead")
    add(
        "--cache",
        action="store_true",
        help="keep what the encoder makes on disk, 10 GiB at most, for the same case another time",
    )
    add_model_options(parser)


def run(args: argparse.Namespace) -> int:
    """Segment every case; one that fails does not stop the others."""
    settings = gather_settings(args)
    every = plan_cases(args.inputs, Path(args.output), args.overlay)
    cases = every if args.overwrite else leave_out_finished(every)
    with progress_bar("segmenting") as progress:
        runner = CaseRunner(settings, progress if len(cases) == 1 else None)
        done: list[Report] = []
        failures: list[str] = []
        for outcome in start(runner, cases, args.workers, args.scheduler):
            if outcome.result is not None:
                done.append(outcome.result)
            elif outcome.error is not None:
                if args.debug or len(every) == 1:
                    raise outcome.error
                failures.append(f"{outcome.case.source}: {outcome.error}")
            progress(len(done) + len(failures), len(cases))
    report(done, failures, args.json)
    return 1 if failures else 0


def start(
    runner: CaseRunner, cases: Sequence[CaseFiles], workers: int, scheduler: str | None
) -> Iterable[Outcome[CaseFiles, Report]]:
    """The cases on their way, where the user wants them."""
    if scheduler is not None:
        return run_on_cluster(runner, [_absolute(case) for case in cases], scheduler)
    if workers > 1 and len(cases) > 1:
        return run_in_processes(runner, cases, workers)
    return run_overlapped(runner.read, runner.segment, runner.write, cases)


def report(done: Sequence[Report], failures: Sequence[str], as_json: bool) -> None:
    """What was done on standard output, what failed on standard error."""
    if as_json:
        print_json(done)
    else:
        for row in done:
            print(describe(row))
    for failure in failures:
        print(failure, file=sys.stderr)


def gather_settings(args: argparse.Namespace) -> Settings:
    """The settings of the run file, if one is given, under those of the command line."""
    settings = Settings(args.preset, args.device, args.checkpoint, cache=args.cache)
    if args.run:
        record = load_run(args.run)
        settings = replace(
            settings,
            preset=record.preset if args.preset == AUTO else args.preset,
            boxes=record.boxes,
            window=record.window,
            axis=record.axis,
            propagation=record.propagation,
            overlap=record.overlap,
        )
    boxes = [*args.box, *(read_boxes(args.boxes) if args.boxes else [])]
    given = {name: getattr(args, name) for name in ("window", "axis", "propagation", "overlap")}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if boxes:
        changes["boxes"] = tuple(boxes)
    return replace(settings, **changes)


def plan_cases(inputs: Sequence[str], output: Path, overlay: str | None) -> list[CaseFiles]:
    """The files named and those of the folders named, each with where its answer goes."""
    sources: list[Path] = []
    for path in map(Path, inputs):
        sources += list_cases(path) if path.is_dir() else [path]
    single = output.name.lower().endswith(SUFFIXES)
    if single and len(sources) > 1:
        raise FileFormatError(f"{output} is one file, but there are {len(sources)} inputs.")
    targets = [output if single else output / source.name for source in sources]
    twice = {str(target) for target in targets if targets.count(target) > 1}
    if twice:
        raise FileFormatError(f"Two inputs would be written to {', '.join(sorted(twice))}.")
    return [
        CaseFiles(source, target, _picture(overlay, source, len(sources)))
        for source, target in zip(sources, targets, strict=True)
    ]


def leave_out_finished(cases: Sequence[CaseFiles]) -> list[CaseFiles]:
    """The cases without labels yet; labels appear whole, so the others are finished.

    Raises
    ------
    FileFormatError
        If the only case has labels: they are not overwritten silently.
    """
    left = [case for case in cases if not case.target.exists()]
    if len(cases) == 1 and not left:
        raise FileFormatError(
            f"{cases[0].target} is there already; give another name, or --overwrite."
        )
    if len(left) < len(cases):
        finished = len(cases) - len(left)
        print(f"{finished} of {len(cases)} cases are done already.", file=sys.stderr)
    return left


def describe(row: Report) -> str:
    """One line a person reads."""
    text = (
        f"{row['output']}: {row['slices_encoded']} slices, {row['boxes_decoded']} masks in "
        f"{row['seconds']['total']:.1f} s with {row['preset']} on {row['device']}"
    )
    if row["dice"]:
        text += f", mean Dice {np.mean(list(row['dice'].values())):.3f}"
    return text if row["notice"] is None else f"{text}. {row['notice']}"


def _picture(overlay: str | None, source: Path, cases: int) -> Path | None:
    if overlay is None:
        return None
    if cases == 1:
        return Path(overlay)
    suffix = file_suffix(source)
    return Path(overlay) / f"{source.name[: -len(suffix)]}.png"


def _absolute(case: CaseFiles) -> CaseFiles:
    """Workers elsewhere have other working folders."""
    overlay = None if case.overlay is None else case.overlay.absolute()
    return CaseFiles(case.source.absolute(), case.target.absolute(), overlay)
