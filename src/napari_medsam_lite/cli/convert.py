"""``medsam-lite convert``: labels from one format to another."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.cli.options import Commands, add_command, print_json
from napari_medsam_lite.cli.streams import one_line
from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.core.files import check_writable, identity_of, is_there
from napari_medsam_lite.core.label_volume import LabelVolume, classes_in, on_grid_of
from napari_medsam_lite.core.labelset import BUILT_IN, LabelClass, LabelSet
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.io.formats import (
    check_can_write,
    keeps_place,
    read_label_volume,
    read_volume,
    write_labels,
)
from napari_medsam_lite.io.labelsets import class_to_json, read_label_set
from napari_medsam_lite.io.registry import file_suffix
from napari_medsam_lite.io.written import class_path

EXAMPLE = """\
medsam-lite convert labels.nii.gz -o labels.dcm --image ct_folder

A file for each segment, with TotalSegmentator's names:
medsam-lite convert labels.nii.gz -o out/labels.seg.nrrd --names TotalSegmentator --each"""


@dataclass(frozen=True)
class Output:
    """One file to write, and which classes are in it."""

    path: Path
    classes: tuple[LabelClass, ...]


def add_commands(commands: Commands) -> None:
    """Add ``convert``."""
    parser = add_command(
        commands,
        "convert",
        "labels from one format to another, names and geometry kept, read back and compared",
        EXAMPLE,
        run,
    )
    add = parser.add_argument
    add("labels", metavar="LABELS", help=".nii[.gz], .seg.nrrd, .dcm (DICOM-SEG) or .npz")
    add(
        "-o",
        "--output",
        required=True,
        metavar="OUT",
        help="a file: its suffix chooses the format, .labelmap.dcm a DICOM label map",
    )
    add(
        "--image",
        metavar="SOURCE",
        help="the image that the labels lie on; theirs is then its geometry. DICOM-SEG needs it",
    )
    add("--series", help="which of several DICOM series in SOURCE: a number or a description")
    add(
        "--names",
        metavar="SET",
        help=f"a label set: {' or '.join(s.name for s in BUILT_IN.values() if s.classes)}, or a "
        "file (.json, .csv, .ctbl, .label, .txt); default: the names in LABELS",
    )
    add("--each", action="store_true", help="a file for each segment: OUT-5-liver.nii.gz, ...")
    add("--overwrite", action="store_true", help="replace files that are there already")


def run(args: argparse.Namespace) -> int:
    """Read, put on the image's grid, name, write."""
    output = Path(args.output)
    check_can_write(output)
    if not args.each:
        check_output(output, args)
    names = label_set(args.names)
    labels = read_label_volume(args.labels)
    image = labels if args.image is None else read_volume(args.image, args.series)
    for note in (*labels.notes, *(image.notes if image is not labels else ())):
        print(one_line(note), file=sys.stderr)
    data = placed(labels, image, args)
    classes = classes_in(data, names.classes if names else labels.classes)
    outputs = [Output(output, classes)]
    if args.each:
        outputs = [
            Output(class_path(output, file_suffix(output), each), (each,)) for each in classes
        ]
        for one in outputs:
            check_output(one.path, args)
    for one in outputs:
        part = np.where(data == one.classes[0].number, data, 0) if args.each else data
        write_labels(one.path, part, image, classes=one.classes, overwrite=args.overwrite)
    report(outputs, labels, args.json)
    return 0


def check_output(path: Path, args: argparse.Namespace) -> None:
    """Refuse, before any work, what would destroy something or cannot be written.

    Raises
    ------
    FileFormatError
        If the file is an input, or there and not to be replaced, or may not be written.
    """
    inputs = [identity_of(name) for name in (args.labels, args.image, args.names) if name]
    if identity_of(path) in inputs:
        raise FileFormatError(f"{path} is an input; give what is written another name.")
    if not args.overwrite and is_there(path):
        raise FileFormatError(f"{path} is there already; give another name, or --overwrite.")
    check_writable(path)


def label_set(name: str | None) -> LabelSet | None:
    """One that is built in, or that of a file; None for none.

    Raises
    ------
    FileFormatError
        If it is neither.
    """
    if name is None:
        return None
    return BUILT_IN[name] if name in BUILT_IN else read_label_set(name)


def placed(labels: LabelVolume, image: Volume, args: argparse.Namespace) -> NDArray[Any]:
    """The labels on the voxels of the image: by their places, if both files tell them."""
    if image is labels:
        return labels.data
    if keeps_place(args.labels) and keeps_place(args.image):
        return on_grid_of(labels, image)
    return labels.data  # that the shapes are equal is checked by who writes


def report(outputs: Sequence[Output], labels: LabelVolume, as_json: bool) -> None:
    """What was written, on standard output."""
    if as_json:
        files = [
            {"output": str(one.path), "segments": [class_to_json(c) for c in one.classes]}
            for one in outputs
        ]
        print_json({"input": str(labels.source.path if labels.source else ""), "files": files})
        return
    for one in outputs:
        names = ", ".join(each.name for each in one.classes) or "no segments"
        print(one_line(f"{one.path}: {names}; read back and compared"))
