"""Options that several commands share."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from napari_medsam_lite.acceleration.availability import unavailable
from napari_medsam_lite.acceleration.emulated import emulated
from napari_medsam_lite.acceleration.presets import PRESETS
from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.core.settings import AUTO
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.core.window import WINDOWS, parse_window
from napari_medsam_lite.io.boxes import parse_named_box

DEVICES = re.compile(r"auto|cpu|cuda(:\d+)?|mps|gpu|npu")

Commands = Any
"""What argparse gives for adding commands; its type has no public name."""


def add_command(
    commands: Commands, name: str, help_text: str, example: str, run: Callable[..., int]
) -> argparse.ArgumentParser:
    """A command with the options that every command has; `example` may have several lines."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=help_text,
        description=help_text,
        epilog=f"Example: {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,  # examples stay as they are typed
    )
    parser.add_argument("--json", action="store_true", help="print for machines")
    parser.add_argument("--debug", action="store_true", help="show the traceback of a failure")
    parser.set_defaults(run_command=run)
    return parser


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """--preset, --device, --checkpoint."""
    parser.add_argument("--preset", choices=[AUTO, *PRESETS], default=AUTO, help="default: auto")
    add_device_option(parser)
    add_checkpoint_option(parser)


def add_device_option(parser: argparse.ArgumentParser) -> None:
    """--device."""
    parser.add_argument(
        "--device", type=device_argument, default=AUTO, help="auto, cpu, cuda, mps; default: auto"
    )


def add_checkpoint_option(parser: argparse.ArgumentParser) -> None:
    """--checkpoint."""
    parser.add_argument("--checkpoint", help="a LiteMedSAM checkpoint; default: the official one")


def tell_emulated(preset: str, device: str) -> None:
    """Say on standard error if a preset that the user names will run, but is only emulated."""
    sentence = emulated(preset, device)
    if sentence is not None and unavailable(preset, device) is None:
        print(sentence, file=sys.stderr)


def box_argument(text: str) -> tuple[str, Box3D]:
    """A named box for argparse, which tells wrong use by exit status 2."""
    named: tuple[str, Box3D] = checked(parse_named_box, text)
    return named


def window_argument(text: str) -> str:
    """A window's name or ``"LEVEL,WIDTH"``, checked."""
    if text != AUTO:
        checked(lambda t: parse_window(t, Volume(np.zeros((1, 1, 1), np.uint8))), text)
    return text


def device_argument(text: str) -> str:
    """A device of some machine; whether this one has it, the preset that is loaded on it tells."""
    if DEVICES.fullmatch(text) is None:
        raise argparse.ArgumentTypeError(
            f"'{text}' is no device; choose auto, cpu, cuda, cuda:1, mps, gpu or npu."
        )
    return text


def count_argument(what: str, least: int = 1) -> Callable[[str], int]:
    """What makes a number of `what` of the text, at least `least`."""

    def count(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"'{text}' is no number of {what}, {least} or more.")
        return int(text)

    return count


def checked(parse: Callable[[str], Any], text: str) -> Any:
    """What `parse` makes of `text`; this package's errors become argparse's."""
    try:
        return parse(text)
    except MedSAMLiteError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


WINDOW_HELP = (
    f"{', '.join(WINDOWS)}, or LEVEL,WIDTH in HU; "
    "default: abdomen for CT, none for 8-bit images, mr for others"
)


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    print(json.dumps(value, indent=2))


@contextmanager
def progress_bar(text: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error; what it yields takes (done, total)."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(text, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextmanager
def status_line(text: str) -> Iterator[Callable[[str], None]]:
    """A line on standard error that says what is going on; what it yields takes the text."""
    from rich.console import Console

    with Console(stderr=True).status(text) as status:
        yield lambda news: status.update(f"{text}: {news}")
