"""``medsam-lite presets``: what each preset does, whether it works here, and what it costs here."""

from __future__ import annotations

import argparse
from typing import Any

from napari_medsam_lite.acceleration.availability import unavailable
from napari_medsam_lite.acceleration.choose import best_preset
from napari_medsam_lite.acceleration.presets import PRESETS, Preset
from napari_medsam_lite.acceleration.tuning.calibrate import find_fastest, left_out
from napari_medsam_lite.acceleration.tuning.measurement import Measurement
from napari_medsam_lite.acceleration.tuning.remembered import remembered
from napari_medsam_lite.cli.options import (
    Commands,
    add_checkpoint_option,
    add_command,
    add_device_option,
    print_json,
    status_line,
)
from napari_medsam_lite.model.weights import find_checkpoint

MEBI = 2**20


def add_commands(commands: Commands) -> None:
    """Add ``presets``."""
    parser = add_command(
        commands,
        "presets",
        "the acceleration presets: which work here, and what they cost here",
        "medsam-lite presets --calibrate",
        run,
    )
    parser.add_argument("--calibrate", action="store_true", help="measure them now, in a minute")
    parser.add_argument(
        "--build",
        action="store_true",
        help="measure them now, also those that are built first, in minutes",
    )
    add_device_option(parser)
    add_checkpoint_option(parser)


def run(args: argparse.Namespace) -> int:
    """A row a preset."""
    checkpoint = find_checkpoint(args.checkpoint)
    if args.calibrate or args.build:
        from napari_medsam_lite.benchmark.agreement import phantom_case

        with status_line("measuring the presets") as tell:
            for item in find_fastest(checkpoint, args.device, phantom_case(), args.build):
                if isinstance(item, str):
                    tell(item)
    measured = remembered(checkpoint, args.device)
    auto = best_preset(checkpoint, args.device)
    rows = [
        to_row(preset, measured.get(name), args.device, left_out(name, checkpoint, args.device))
        | {"auto": name == auto}
        for name, preset in PRESETS.items()
    ]
    if args.json:
        print_json(rows)
    else:
        print_table(rows)
    return 0


def to_row(
    preset: Preset, measured: Measurement | None, device: str, note: str | None
) -> dict[str, Any]:
    """What is known of a preset; None where it was not measured. `note`: why it is left out."""
    reason, found = unavailable(preset.name, device), measured
    if found is not None and found.reason is not None and not found.stopped:
        reason = reason or found.reason
    if reason is not None:
        found = None
    whole = None if found is None or found.stopped else found
    return {
        "name": preset.name,
        "summary": preset.summary,
        "unavailable": reason,
        "seconds_a_slice": round(found.encode, 4) if found else None,
        "seconds_a_box": round(whole.decode, 4) if whole else None,
        "seconds_to_start": round(found.load, 1) if found else None,
        "memory_mib": round(whole.memory / MEBI) if whole else None,
        "agreement": round(whole.agreement, 4) if whole else None,
        "warning": (found.warning if found else None) or note,
    }


def print_table(rows: list[dict[str, Any]]) -> None:
    """The rows for people."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(caption="s/slice, s/box and Dice with eager as measured by --calibrate")
    table.add_column("preset", no_wrap=True)
    table.add_column("what it is")
    for head in ("s/slice", "s/box", "MiB", "Dice"):
        table.add_column(head, no_wrap=True)
    for row in rows:
        name = f"{row['name']}\n(auto)" if row["auto"] else row["name"]
        what = f"{row['summary']}\n[dim]{escape(standing(row))}[/dim]"
        figures = ("seconds_a_slice", "seconds_a_box", "memory_mib", "agreement")
        table.add_row(name, what, *("" if row[f] is None else str(row[f]) for f in figures))
    Console().print(table)


def standing(row: dict[str, Any]) -> str:
    """Whether the preset can be used, in words."""
    if row["unavailable"] or row["warning"]:
        return str(row["unavailable"] or row["warning"])
    start = row["seconds_to_start"]
    return "available" if start is None else f"available; it was ready in {start:.1f} s"
