"""``medsam-lite info``: what a file or a folder holds."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from napari_medsam_lite.cli.options import Commands, add_command, print_json
from napari_medsam_lite.cli.streams import one_line
from napari_medsam_lite.io.describe import ImageInfo, describe


def add_commands(commands: Commands) -> None:
    """Add ``info``."""
    parser = add_command(
        commands,
        "info",
        "what a file or a folder holds: series, sizes, spacing, orientation, window",
        "medsam-lite info dicom_folder",
        run,
    )
    parser.add_argument("path", metavar="PATH", help="a file, or a folder")


def run(args: argparse.Namespace) -> int:
    """An image each, with what is told of it."""
    found = describe(Path(args.path))
    if args.json:
        print_json([asdict(info) for info in found])
        return 0
    for info in found:
        head, *rest = lines(info)
        print(one_line(head))
        for line in rest:
            print(one_line(f"   {line}"))
    return 0


def lines(info: ImageInfo) -> list[str]:
    """What is known of an image, for people."""
    told = [f"{info.path}: {info.number} {info.name}"]
    if info.description:
        told[0] += f" '{info.description}'"
    if info.shape is not None and info.spacing is not None:
        size = " x ".join(map(str, info.shape))
        spacing = " x ".join(f"{value:.4g}" for value in info.spacing)
        told.append(f"{size} voxels of {spacing} mm (z, y, x)")
        aslant = ", aslant" if info.oblique else ""
        told.append(f"axes (z, y, x) to {', '.join(info.orientation or '')}{aslant}")
    if info.window is not None:
        level, width = info.window
        told.append(f"window: level {level:g}, width {width:g}")
    if info.boxes:
        told.append(f"{info.boxes} boxes")
    if info.labels is not None:
        named = zip(info.labels, info.names, strict=True)
        told.append(f"labels: {', '.join(f'{n} {name}'.strip() for n, name in named) or 'none'}")
    return told + [f"note: {note}" for note in info.notes]
