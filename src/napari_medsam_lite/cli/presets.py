"""``medsam-lite presets``: what each preset does, whether it works here, and what it costs here."""

from __future__ import annotations

import argparse
from typing import Any

from napari_medsam_lite.acceleration.availability import unavailable
from napari_medsam_lite.acceleration.choose import best_preset
from napari_medsam_lite.acceleration.emulated import emulated
from napari_medsam_lite.acceleration.presets import PRESETS, Preset
from napari_medsam_lite.acceleration.tuning.calibrate import calibrate
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
    parser.add_argument("--calibrate", action="store_true", help="measure them now, in minutes")
    add_device_option(parser)
    add_checkpoint_option(parser)


def run(args: argparse.Namespace) -> int:
    """A row a preset."""
    checkpoint = find_checkpoint(args.checkpoint)
    if args.calibrate:
        from napari_medsam_lite.benchmark.agreement import phantom_case

        with status_line("measuring the presets") as tell:
            for item in calibrate(checkpoint, args.device, phantom_case()):
                if isinstance(item, str):
                    tell(item)
    measured = remembered(checkpoint, args.device)
    auto = best_preset(checkpoint, args.device)
    rows = [to_row(p, measured.get(p.name), args.device, auto) for p in PRESETS.values()]
    if args.json:
        print_json(rows)
    else:
        print_table(rows)
    return 0


def to_row(preset: Preset, measured: Measurement | None, device: str, auto: str) -> dict[str, Any]:
    """What is known of a preset; None where it was not measured."""
    reason = unavailable(preset.name, device)
    row: dict[str, Any] = {"name": preset.name, "summary": preset.summary, "unavailable": reason}
    if measured is not None and measured.reason is not None:
        row["unavailable"] = reason or measured.reason
    known = measured is not None and row["unavailable"] is None
    row["seconds_a_slice"] = round(measured.encode, 4) if known and measured else None
    row["seconds_a_box"] = round(measured.decode, 4) if known and measured else None
    row["memory_mib"] = round(measured.memory / MEBI) if known and measured else None
    row["agreement"] = round(measured.agreement, 4) if known and measured else None
    warning = measured.warning if known and measured else None
    row["warning"] = warning or emulated(preset.name, device)
    row["auto"] = preset.name == auto
    return row


def print_table(rows: list[dict[str, Any]]) -> None:
    """The rows for people."""
    from rich.console import Console
    from rich.table import Table

    table = Table(caption="s/slice, s/box and Dice with eager as measured by --calibrate")
    table.add_column("preset", no_wrap=True)
    table.add_column("what it is")
    for head in ("s/slice", "s/box", "MiB", "Dice"):
        table.add_column(head, no_wrap=True)
    for row in rows:
        name = f"{row['name']}\n(auto)" if row["auto"] else row["name"]
        standing = row["unavailable"] or row["warning"] or "available"
        what = f"{row['summary']}\n[dim]{standing}[/dim]"
        figures = ("seconds_a_slice", "seconds_a_box", "memory_mib", "agreement")
        table.add_row(name, what, *("" if row[f] is None else str(row[f]) for f in figures))
    Console().print(table)
