"""All commands: their parser, and how one is run."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence

from napari_medsam_lite import __version__
from napari_medsam_lite.cli import (
    bench,
    convert,
    demo,
    history,
    info,
    inform,
    presets,
    segment,
    worklist,
)
from napari_medsam_lite.cli.streams import one_line, printing, quieten_libraries
from napari_medsam_lite.core.errors import MedSAMLiteError

NUMBERS = re.compile(r"-[\d.][\d.,\s-]*")
TAKE_NUMBERS = ("--box", "--window")


def run_command(argv: Sequence[str] | None = None) -> int:
    """Run a command, and tell a failure in one sentence; the exit status as of `cli.main`."""
    debug = False
    quieten_libraries()
    try:
        with printing():
            args = build_parser().parse_args(join_numbers(sys.argv[1:] if argv is None else argv))
            debug = args.debug
            return int(args.run_command(args))
    except MedSAMLiteError as error:
        if debug:
            raise
        print(one_line(error), file=sys.stderr)
    except BrokenPipeError:  # whoever read our output has seen enough
        pass
    return 1


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="medsam-lite", description="Fast LiteMedSAM segmentation of CT volumes from boxes."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in (demo, segment, worklist, history, convert, info, presets, bench, inform):
        module.add_commands(commands)
    return parser


def join_numbers(argv: Sequence[str]) -> list[str]:
    """Write ``--box -5,0,...`` as ``--box=-5,0,...``: argparse takes the first for two options."""
    joined: list[str] = []
    for word in argv:
        if joined and joined[-1] in TAKE_NUMBERS and NUMBERS.fullmatch(word):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined
