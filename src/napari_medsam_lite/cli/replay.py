"""``medsam-lite segment --case``: what was done to an image in napari, done again."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.cli.options import print_json, progress_bar, tell_emulated
from napari_medsam_lite.cli.streams import one_line
from napari_medsam_lite.core.agreement import dice_by_label
from napari_medsam_lite.core.asked import Asked
from napari_medsam_lite.core.errors import CheckpointError, FileFormatError, PromptError
from napari_medsam_lite.core.files import check_writable, make_folder
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.engine.replay import count_masks, replay
from napari_medsam_lite.engine.segmenter import Segmenter
from napari_medsam_lite.engine.timings import Timings
from napari_medsam_lite.io.case_layers import open_case
from napari_medsam_lite.io.case_record import CaseRecord
from napari_medsam_lite.io.formats import check_can_write, write_labels
from napari_medsam_lite.model.weights import find_checkpoint


@dataclass
class Network:
    """Answers what is asked with the preset and device it was asked with, or with those given."""

    preset: str | None
    device: str | None
    checkpoint: str | None
    segmenter: Segmenter = field(default_factory=Segmenter)
    used: dict[str, str] = field(default_factory=dict)

    def __call__(self, asked: Asked) -> Segmenter:
        """The segmenter for what is asked."""
        settings = asked.settings
        if asked.boxes:  # else nothing is asked, and the network that is loaded stays
            self.segmenter.use(
                self.preset or settings.preset, self.device or settings.device, self.checkpoint
            )
            backend = self.segmenter.load()
            self.used[backend.preset.name] = backend.device
        return self.segmenter


def run_case(args: argparse.Namespace) -> int:
    """Do a case again; write its labels, and compare them with those that the case had."""
    _check_arguments(args)
    case, volume, kept, told = open_case(args.case, args.inputs[0] if args.inputs else None)
    for note in told:
        print(one_line(note), file=sys.stderr)
    if not case.asked:
        raise PromptError(
            f"{args.case}: the network was asked nothing yet, so nothing is replayed."
        )
    if args.compare and kept is None:
        raise FileFormatError(f"{args.case} has no labels to compare with.")
    check_same_weights(args.case, {a.checkpoint_sha256 for a in case.asked}, args.checkpoint)
    tell_emulated(args.preset or "auto", args.device or "auto")
    network, timings, clock = (
        Network(args.preset, args.device, args.checkpoint),
        Timings(),
        time.perf_counter(),
    )
    with progress_bar("segmenting") as progress:
        labels = _replayed(case, volume, kept, network, timings, progress)
    report = {
        "case": str(args.case),
        "presets": network.used,
        "asked": len(case.asked),
        "slices_encoded": timings.slices_encoded,
        "boxes_decoded": timings.boxes_decoded,
        "seconds": round(time.perf_counter() - clock, 3),
    }
    if args.output is not None:
        report["output"] = str(args.output)
        make_folder(Path(args.output).parent)
        classes = [s.label_class for s in case.segmentation.segments]
        write_labels(args.output, labels, volume, classes=classes, overwrite=args.overwrite)
    if args.compare and kept is not None:
        report["compare"] = compare(case, labels, kept)
    if args.json:
        print_json(report)
    else:
        for line in described(report):
            print(one_line(line))
    return 0


def compare(case: CaseRecord, labels: NDArray[Any], kept: NDArray[Any]) -> dict[str, Any]:
    """How labels agree with those that the case had: voxels that differ, Dice a segment."""
    dice = dice_by_label(labels, kept)
    titles = {s.number: s.title for s in case.segmentation.segments}
    return {
        "voxels": int(np.count_nonzero(kept)),
        "differ": int(np.count_nonzero(labels != kept)),
        "painted": 0 if case.painted is None else int(np.count_nonzero(case.painted)),
        "dice": {
            titles.get(number, str(number)): round(value, 4) for number, value in dice.items()
        },
    }


def described(report: dict[str, Any]) -> list[str]:
    """The report for people."""
    presets = " and ".join(f"{name} on {device}" for name, device in report["presets"].items())
    lines = [
        f"{report['case']}: {report['asked']} requests again, {report['boxes_decoded']} masks in "
        f"{report['seconds']:.1f} s with {presets or 'no network'}"
    ]
    if "output" in report:
        lines.append(f"Written to {report['output']}.")
    if "compare" in report:
        found = report["compare"]
        if found["differ"]:
            lines.append(f"{found['differ']:,} of {found['voxels']:,} voxels differ; Dice:")
            lines += [f"  {name}: {value:.4f}" for name, value in found["dice"].items()]
        else:
            lines.append(f"The labels are the same, all {found['voxels']:,} voxels.")
        if found["painted"]:
            lines.append(f"{found['painted']:,} voxels that no network made were taken over.")
    return lines


def _check_arguments(args: argparse.Namespace) -> None:
    if len(args.inputs) > 1:
        raise FileFormatError("A case has one image; name no other, or the one that it is of.")
    if args.output is None and not args.compare:
        raise FileFormatError("Say where the labels go (-o FILE), or --compare, or both.")
    if args.output is not None:
        check_can_write(args.output)
        if Path(args.output).exists() and not args.overwrite:
            raise FileFormatError(
                f"{args.output} is there already; give another name, or --overwrite."
            )
        check_writable(args.output)


def check_same_weights(file: str, hashes: Collection[str], checkpoint: str | None) -> None:
    """Refuse to do again with other weights, unless they are asked for: then it is told.

    Parameters
    ----------
    file : str
        The run file or case file, for the message.
    hashes : collection of str
        SHA-256 of the weights that it was made with; empty ones do not count.
    checkpoint : str or None
        The file that was named on the command line.

    Raises
    ------
    CheckpointError
        If none was named, and the official weights are not those.
    """
    used = find_checkpoint(checkpoint)
    others = set(hashes) - {used.sha256, ""}
    if not others:
        return
    made = f"{file} was made with other weights (SHA-256 {min(others)[:12]}...)"
    if checkpoint is None:
        raise CheckpointError(f"{made}; name their file with --checkpoint.")
    print(one_line(f"{made} than {used.path.name}; the labels may differ."), file=sys.stderr)


def _replayed(
    case: CaseRecord,
    volume: Volume,
    kept: NDArray[Any] | None,
    network: Network,
    timings: Timings,
    progress: Callable[[int, int], None],
) -> NDArray[Any]:
    total, done = count_masks(case.asked), 0

    def note(*_: object) -> None:
        nonlocal done
        done += 1
        progress(done, total)

    spacing = case.spacing or volume.spacing
    return replay(
        case.asked,
        replace(volume, spacing=spacing),
        network,
        kept=kept,
        held=case.painted,
        timings=timings,
        on_mask=note,
    )
