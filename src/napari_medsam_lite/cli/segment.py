"""``medsam-lite segment``: files in, label files out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, get_args

import numpy as np

from napari_medsam_lite.cli.cases import CaseFiles, CaseRunner, Job
from napari_medsam_lite.cli.options import (
    WINDOW_HELP,
    Commands,
    add_command,
    add_model_options,
    box_argument,
    checked,
    count_argument,
    print_json,
    progress_bar,
    tell_emulated,
    window_argument,
)
from napari_medsam_lite.cli.plan import (
    check_outputs,
    for_cluster,
    leave_out_finished,
    once_more,
    plan_cases,
)
from napari_medsam_lite.cli.recording import Report, recorded
from napari_medsam_lite.cli.replay import check_same_weights, run_case
from napari_medsam_lite.cli.streams import one_line
from napari_medsam_lite.cli.worklist import answer_worklist
from napari_medsam_lite.core.boxes import Box3D, WorldBox
from napari_medsam_lite.core.segmentation import number_names
from napari_medsam_lite.core.settings import (
    AUTO,
    Detail,
    Overlap,
    Propagation,
    Settings,
    Step,
    parse_overlap,
)
from napari_medsam_lite.engine.batch import Outcome, run_in_processes, run_overlapped
from napari_medsam_lite.engine.cluster import run_on_cluster
from napari_medsam_lite.io.boxes import read_named_boxes
from napari_medsam_lite.io.runfile import load_run

OPTIONS = ("window", "axis", "propagation", "detail", "step", "overlap", "preset", "device")
"""Those that are settings; None if not given."""

EXAMPLE = """\
medsam-lite segment ct.nii.gz -o liver.nii.gz --box 40,60,10,180,200,50 --window liver

One object with a key box on three slices:
medsam-lite segment ct.nii.gz -o kidney.nii.gz --box kidney@90,120,20,130,170,20 \\
    --box kidney@85,115,30,135,175,30 --box kidney@92,125,42,125,160,42

What was done in napari, with another preset, compared with what it gave there:
medsam-lite segment --case ct.medsam.json --preset eager --compare"""


def add_commands(commands: Commands) -> None:
    """Add ``segment``."""
    parser = add_command(
        commands,
        "segment",
        "segment .npz, .nii[.gz], .nrrd and .mha files and DICOM series, or folders of them",
        EXAMPLE,
        run,
    )
    add = parser.add_argument
    add("inputs", nargs="*", metavar="INPUT", help="files, or folders of files")
    add("-o", "--output", help="a file for one input, or a folder")
    add(
        "--worklist",
        metavar="DIR",
        help="in place of both: first answers for the cases of a folder or list that are new, "
        "each with its own boxes",
    )
    add("--case", metavar="FILE", help="do again what a case file, saved in napari, says")
    add("--compare", action="store_true", help="with --case: compare with the labels it had")
    add_job_options(parser)
    add("--overlay", metavar="PNG", help="a picture of one slice too (a folder for many)")
    add("--montage", metavar="PNG", help="a picture of many slices too (a folder for many)")
    add("--overwrite", action="store_true", help="replace files that are there already")
    add("--workers", type=count_argument("processes"), default=1, help="processes; default: 1")
    add("--scheduler", metavar="ADDRESS", help="run on this Dask cluster instead")
    add_model_options(parser)
    parser.set_defaults(wrong_use=parser.error)
    parser.set_defaults(preset=None, device=None)  # so that a given "auto" counts more than --run


def add_job_options(parser: argparse.ArgumentParser) -> None:
    """What decides the labels, besides the network."""
    add = parser.add_argument
    add(
        "--box",
        type=box_argument,
        action="append",
        default=[],
        metavar="[NAME@]x0,y0,z0,x1,y1,z1",
        help="inclusive voxel corners, repeatable; boxes of one NAME belong to one object, and "
        "those on one slice (z0 = z1) are its key boxes",
    )
    add("--boxes", metavar="FILE", help="boxes from a .json or .csv file, with names if wanted")
    add(
        "--series",
        metavar="N|TEXT",
        help="of a DICOM folder with several: its number in what info lists, or a part of its "
        "description",
    )
    add("--run", metavar="FILE", help="do again what a run file says")
    add("--window", type=window_argument, help=WINDOW_HELP)
    add("--axis", type=int, choices=(0, 1, 2), help="of the slices; default: 0")
    add("--propagation", choices=get_args(Propagation), help="default: guided")
    add(
        "--detail",
        choices=get_args(Detail),
        help="what the network is shown: whole slices, a close look at each object, or what serves "
        "it best; default: auto",
    )
    add(
        "--step",
        choices=get_args(Step),
        help="ask the network on every so many slices, and in between only where those disagree; "
        "default: auto, by the distance of the slices",
    )
    add(
        "--overlap",
        type=lambda text: checked(parse_overlap, text),
        metavar="{" + ",".join(get_args(Overlap)) + "}",
        help="where two objects overlap: the surer and smaller mask wins, the higher logit at each "
        "voxel, the earlier object, or the later one; default: surer",
    )
    add(
        "--cache",
        action="store_true",
        help="keep what the encoder makes on disk, 10 GiB at most, for the same case another time",
    )


def run(args: argparse.Namespace) -> int:
    """Segment every case; one that fails does not stop the others."""
    check_use(args)
    if args.case is not None:
        return run_case(args)
    if args.worklist is not None:
        if args.scheduler is None:
            tell_emulated(args.preset or AUTO, args.device or AUTO)
        return answer_worklist(args, gather_job(args))
    every = plan_cases(
        args.inputs,
        args.output,
        args.overlay,
        args.montage,
        overwrite=args.overwrite,
        one_series=args.series is not None,
    )
    cases = leave_out_finished(every)
    check_outputs(cases)
    job = gather_job(args)
    if len(every) > 1:  # a run was on one image, and its voxel size is none of the others' concern
        job = replace(job, spacing=None)
    if args.scheduler is None:  # a cluster has other processors
        tell_emulated(job.settings.preset, job.settings.device)
    with progress_bar("segmenting") as progress:
        runner = CaseRunner(job, progress if len(cases) == 1 else None)
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


def check_use(args: argparse.Namespace) -> None:
    """End with exit status 2 if what is named does not go together."""
    if args.case is args.worklist is None and not (args.inputs and args.output):
        args.wrong_use("INPUT and -o are needed, or --case FILE, or --worklist DIR")
    alone = (
        "case", "inputs", "output", "box", "boxes", "run", "series", "overlay", "overwrite",
    )  # fmt: skip
    given = [name for name in alone if getattr(args, name)]
    if args.worklist is not None and given:
        args.wrong_use(f"--worklist takes each case as it lies there; leave out {given[0]}")


def start(
    runner: CaseRunner, cases: Sequence[CaseFiles], workers: int, scheduler: str | None
) -> Iterable[Outcome[CaseFiles, Report]]:
    """The cases on their way, where the user wants them; each that is done is recorded here."""
    if scheduler is not None:
        return recorded(run_on_cluster(runner, [for_cluster(case) for case in cases], scheduler))
    if workers > 1 and len(cases) > 1:
        return recorded(run_in_processes(runner, cases, workers, once_more))
    return recorded(run_overlapped(runner.read, runner.segment, runner.write, cases))


def report(done: Sequence[Report], failures: Sequence[str], as_json: bool) -> None:
    """What was done on standard output, what failed on standard error."""
    if as_json:
        print_json(done)
    else:
        for row in done:
            print(one_line(describe(row)))
    for row in done:
        for note in row["notes"]:
            print(one_line(f"{row['input']}: {note}"), file=sys.stderr)
    for failure in failures:
        print(one_line(failure), file=sys.stderr)


def gather_job(args: argparse.Namespace) -> Job:
    """The settings and boxes of the run file, if one is given, under those of the command line."""
    job = recorded_job(args) if args.run else Job(Settings())
    given = {name: getattr(args, name) for name in OPTIONS}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if args.cache:
        changes["on_disk"] = True
    job = replace(
        job,
        settings=replace(job.settings, checkpoint=args.checkpoint, **changes),
        series=args.series,
    )
    rows: list[tuple[str, Box3D | WorldBox]] = list(args.box)
    rows += read_named_boxes(args.boxes) if args.boxes else []
    if not rows:
        return job
    names, boxes = zip(*rows, strict=True)
    return replace(job, boxes=boxes, names=names, ids=number_names(names))


def recorded_job(args: argparse.Namespace) -> Job:
    """What the run file says."""
    record = load_run(args.run)
    check_same_weights(args.run, {record.checkpoint_sha256}, args.checkpoint)
    if record.ending != "finished":
        told = f"{args.run}: that run ended early ({record.ending}); now it is done to its end."
        print(one_line(told), file=sys.stderr)
    return Job(record.settings, record.boxes, record.names, record.ids, record.spacing)


def describe(row: Report) -> str:
    """One line a person reads."""
    text = (
        f"{row['output']}: {row['slices_encoded']} slices, {row['boxes_decoded']} masks in "
        f"{row['seconds']['total']:.1f} s with {row['preset']} on {row['device']}"
    )
    if row["dice"]:
        text += f", mean Dice {np.mean(list(row['dice'].values())):.3f}"
    return text if row["notice"] is None else f"{text}. {row['notice']}"
