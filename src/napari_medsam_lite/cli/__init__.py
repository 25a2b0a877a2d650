"""The command line: ``medsam-lite``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from napari_medsam_lite import __version__
from napari_medsam_lite.cli import bench, demo, inform, presets, segment
from napari_medsam_lite.core.errors import MedSAMLiteError


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit status is 0 on success, 2 on wrong use, 1 on a failure."""
    args = build_parser().parse_args(argv)
    try:
        return int(args.run_command(args))
    except MedSAMLiteError as error:
        if args.debug:
            raise
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 1


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="medsam-lite", description="Fast LiteMedSAM segmentation of CT volumes from boxes."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in (demo, segment, presets, bench, inform):
        module.add_commands(commands)
    return parser
