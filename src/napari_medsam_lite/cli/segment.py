"""``medsam-lite segment``: files in, label files out."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.acceleration.presets import AUTO
from napari_medsam_lite.cli.options import (
    WINDOW_HELP,
    Commands,
    add_command,
    add_model_options,
    box_argument,
    print_json,
    progress_bar,
    window_argument,
)
from napari_medsam_lite.core.agreement import dice_by_label
from napari_medsam_lite.core.case import Case
from napari_medsam_lite.core.errors import FileFormatError, MedSAMLiteError, PromptError
from napari_medsam_lite.core.prompts import Box3D
from napari_medsam_lite.io.boxes import read_boxes
from napari_medsam_lite.io.files import SUFFIXES, file_suffix, read_case, write_labels
from napari_medsam_lite.io.guard import make_folder
from napari_medsam_lite.io.overlay import save_overlay
from napari_medsam_lite.io.runfile import load_run

if TYPE_CHECKING:
    from napari_medsam_lite.engine.predictor import VolumePredictor

OVERLAPS = ("later", "earlier", "logit")
PROPAGATIONS = ("published", "guided")


@dataclass(frozen=True)
class Settings:
    """What is done to each case."""

    boxes: tuple[Box3D, ...] = ()
    window: str | None = None
    axis: int = 0
    propagation: str = "published"
    overlap: str = "later"


def add_commands(commands: Commands) -> None:
    """Add ``segment``."""
    parser = add_command(
        commands,
        "segment",
        "segment .npz and .nii[.gz] files, or folders of them",
        "medsam-lite segment ct.nii.gz -o liver.nii.gz --box 40,60,10,180,200,50 --window liver",
        run,
    )
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="files, or folders of files")
    parser.add_argument("-o", "--output", required=True, help="a file for one input, or a folder")
    parser.add_argument(
        "--box",
        type=box_argument,
        action="append",
        default=[],
        metavar="x0,y0,z0,x1,y1,z1",
        help="inclusive voxel corners; give it once an object",
    )
    parser.add_argument("--boxes", metavar="FILE", help="boxes from a .json or .csv file")
    parser.add_argument("--run", metavar="FILE", help="do again what a run.json says")
    parser.add_argument("--window", type=window_argument, help=WINDOW_HELP)
    parser.add_argument("--axis", type=int, choices=(0, 1, 2), help="of the slices; default 0")
    parser.add_argument("--propagation", choices=PROPAGATIONS, help="default: published")
    parser.add_argument("--overlap", choices=OVERLAPS, help="which object wins; default: later")
    parser.add_argument("--overlay", metavar="PNG", help="a picture too (a folder for many)")
    add_model_options(parser)


def run(args: argparse.Namespace) -> int:
    """Segment every case; one that fails does not stop the others."""
    from napari_medsam_lite.engine.predictor import VolumePredictor

    settings, preset = gather_settings(args)
    cases = list_cases(args.inputs)
    targets = output_paths(cases, Path(args.output))
    predictor = VolumePredictor(preset, args.device, args.checkpoint)
    rows, failures = [], []
    for source, target in zip(cases, targets, strict=True):
        try:
            row = segment_file(
                predictor, source, target, settings, overlay_path(args, source, cases)
            )
        except MedSAMLiteError as error:
            if args.debug or len(cases) == 1:
                raise
            failures.append(f"{source}: {error}")
            continue
        rows.append(row)
        if not args.json:
            print(describe(row))
    if args.json:
        print_json(rows)
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


def gather_settings(args: argparse.Namespace) -> tuple[Settings, str]:
    """The settings of the run file under those of the command line, and the preset."""
    settings, preset = Settings(), args.preset
    if args.run:
        record = load_run(args.run)
        settings = Settings(
            record.boxes, record.window, record.axis, record.propagation, record.overlap
        )
        preset = record.preset if preset == AUTO else preset
    boxes = [*args.box, *(read_boxes(args.boxes) if args.boxes else [])]
    given = {name: getattr(args, name) for name in ("window", "axis", "propagation", "overlap")}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if boxes:
        changes["boxes"] = tuple(boxes)
    return replace(settings, **changes), preset


def segment_file(
    predictor: VolumePredictor, source: Path, target: Path, settings: Settings, overlay: Path | None
) -> dict[str, Any]:
    """Read `source`, segment it, write `target`; what was done and how long it took."""
    start = time.perf_counter()
    case = read_case(source)
    read = time.perf_counter() - start
    boxes = list(settings.boxes) or case.boxes
    with progress_bar(source.name) as progress:
        labels = segment_case(predictor, case, settings, progress)
    timings = predictor.timings
    start_write = time.perf_counter()
    make_folder(target.parent)
    write_labels(target, labels, case.volume, gts=case.gts)
    if overlay is not None:
        save_overlay(
            overlay, case.volume, labels, boxes, axis=settings.axis, limits=predictor.limits
        )
    stop = time.perf_counter()
    seconds = {"read": read, **timings.seconds, "write": stop - start_write, "total": stop - start}
    return {
        "input": str(source),
        "output": str(target),
        "preset": predictor.preset,
        "device": predictor.device,
        "notice": predictor.checkpoint.notice,
        "seconds": {stage: round(value, 4) for stage, value in seconds.items()},
        "slices_encoded": timings.slices_encoded,
        "boxes_decoded": timings.boxes_decoded,
        "dice": {} if case.gts is None else dice_by_label(labels, case.gts),
    }


def segment_case(
    predictor: VolumePredictor, case: Case, settings: Settings, progress: Any = None
) -> NDArray[np.unsignedinteger[Any]]:
    """Labels of one case, from the boxes of `settings`, of the file, or of its truth."""
    predictor.set_volume(case.volume, settings.window, settings.axis)
    boxes: Sequence[Box3D] = settings.boxes or case.boxes
    if boxes:
        return predictor.segment_volume(
            boxes,
            overlap=settings.overlap,  # type: ignore[arg-type]
            propagation=settings.propagation,  # type: ignore[arg-type]
            progress=progress,
        )
    if case.gts is not None:
        return predictor.segment_from_labels(case.gts, progress)
    raise PromptError(f"{case.volume.name} carries no boxes; give them with --box or --boxes.")


def list_cases(inputs: Sequence[str]) -> list[Path]:
    """The files named, and those of the folders named; at least one."""
    found: list[Path] = []
    for path in map(Path, inputs):
        if path.is_dir():
            found += sorted(p for p in path.iterdir() if p.name.lower().endswith(SUFFIXES))
        else:
            found.append(path)
    if not found:
        raise FileFormatError(
            f"There is no file to segment in {', '.join(inputs)}; it must end with "
            f"{', '.join(SUFFIXES)}."
        )
    return found


def output_paths(cases: Sequence[Path], output: Path) -> list[Path]:
    """Where the labels of each case go: the file `output`, or a file in that folder."""
    if output.name.lower().endswith(SUFFIXES):
        if len(cases) > 1:
            raise FileFormatError(f"{output} is one file, but there are {len(cases)} inputs.")
        return [output]
    targets = [output / case.name for case in cases]
    twice = {str(target) for target in targets if targets.count(target) > 1}
    if twice:
        raise FileFormatError(f"Two inputs would be written to {', '.join(sorted(twice))}.")
    return targets


def overlay_path(args: argparse.Namespace, source: Path, cases: Sequence[Path]) -> Path | None:
    """Where the picture of a case goes, if one is wanted."""
    if args.overlay is None:
        return None
    if len(cases) == 1:
        return Path(args.overlay)
    stem = source.name[: -len(file_suffix(source))]
    return Path(args.overlay) / f"{stem}.png"


def describe(row: dict[str, Any]) -> str:
    """One line a person reads."""
    text = (
        f"{row['output']}: {row['slices_encoded']} slices, {row['boxes_decoded']} masks in "
        f"{row['seconds']['total']:.1f} s with {row['preset']} on {row['device']}"
    )
    if row["dice"]:
        text += f", mean Dice {np.mean(list(row['dice'].values())):.3f}"
    return text if row["notice"] is None else f"{text}. {row['notice']}"
