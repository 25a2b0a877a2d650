"""``medsam-lite history``: the runs of this and earlier sessions."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from napari_medsam_lite.cli.options import Commands, add_command, count_argument, print_json
from napari_medsam_lite.cli.streams import one_line, tell
from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.core.files import replacing
from napari_medsam_lite.io.history import History
from napari_medsam_lite.io.history_entry import COLUMNS, HistoryEntry, in_order, select, to_json
from napari_medsam_lite.io.overlay import check_picture_name
from napari_medsam_lite.io.runfile import ENDINGS, save_run

SHOWN, ID = 50, 8
OTHER_COLUMNS = 62
"""Characters that the table takes besides names."""
EXAMPLE = """\
medsam-lite history --image ct --sort worst

medsam-lite history --run 3fa0 run.json
medsam-lite segment ct.nii.gz -o again.nii.gz --run run.json"""


def add_commands(commands: Commands) -> None:
    """Add ``history``."""
    parser = add_command(
        commands,
        "history",
        "the runs of this and earlier sessions, in napari and on the command line",
        EXAMPLE,
        run,
    )
    add = parser.add_argument
    add("--image", default="", metavar="TEXT", help="those whose image's name holds this")
    add("--preset", default="", help="those with this preset")
    add("--ending", default="", choices=ENDINGS, help="those that ended so")
    add("--sort", choices=list(COLUMNS), metavar="COLUMN", help=f"by {', '.join(COLUMNS)}")
    add("--reverse", action="store_true", help="the last of them first")
    add("--limit", type=count_argument("runs"), metavar="N", help="no more than these")
    add("--delete", action="append", default=[], metavar="ID", help="remove a run; repeatable")
    add("--picture", nargs=2, metavar=("ID", "PNG"), help="write the picture of a run")
    add("--run", nargs=2, metavar=("ID", "FILE"), help="write the run file of a run")
    parser.epilog = f"{parser.epilog}\n\nThe beginning of an ID is enough, if no other begins so."


def run(args: argparse.Namespace) -> int:
    """Do what is asked with single runs, or list them."""
    history = History(tell=tell)
    history.purge(own=False)
    if args.picture:
        save_picture(history, *args.picture)
    if args.run:
        save_run_of(history, *args.run)
    if args.delete:
        gone = [history.get(start).id for start in args.delete]
        history.delete(gone)
        history.purge(own=True)
        tell(f"{len(set(gone))} removed.")
    if not (args.picture or args.run or args.delete):
        show(history.entries(), args)
    return 0


def save_picture(history: History, start: str, path: str) -> None:
    """Write the picture of a run.

    Raises
    ------
    MedSAMLiteError
        If there is none, or it cannot be written.
    """
    check_picture_name(path)
    picture = history.picture(history.get(start).id)
    if not picture:
        raise MedSAMLiteError(f"The run '{start}' has no picture.")
    with replacing(path, overwrite=False) as temporary:
        temporary.write_bytes(picture)


def save_run_of(history: History, start: str, path: str) -> None:
    """Write the run file of a run; raises as `save_picture`."""
    entry = history.get(start)
    if entry.record is None or entry.affine is None:
        raise MedSAMLiteError(f"The run '{start}' never began, so there is nothing to do again.")
    save_run(Path(path), entry.record, np.asarray(entry.affine), overwrite=False)


def show(entries: Sequence[HistoryEntry], args: argparse.Namespace) -> None:
    """The runs that are wanted, for people or for machines."""
    found = select(entries, image=args.image, preset=args.preset, ending=args.ending)
    if args.sort:
        found = in_order(found, args.sort)
    if args.reverse:
        found.reverse()
    if args.json:
        print_json([_plain(entry) for entry in found[: args.limit]])
        return
    shown = found[: args.limit or SHOWN]
    print_table(shown)
    if len(shown) < len(found):
        tell(f"{len(shown)} of {len(found)} runs; --limit N shows more.")


def print_table(entries: Sequence[HistoryEntry]) -> None:
    """Two lines a run, narrow enough for a window of 80 characters."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console, table = Console(), Table()
    left = max(console.width - OTHER_COLUMNS, 10)
    table.add_column("id\ntime", no_wrap=True, min_width=16)
    table.add_column("image\nsegments", no_wrap=True, overflow="ellipsis", max_width=left)
    for head, width in (("slices", 6), ("s", 5), ("score\nworst", 5)):
        table.add_column(head, no_wrap=True, min_width=width, justify="right")
    table.add_column("preset\nending", no_wrap=True, min_width=9)
    for each in entries:
        table.add_row(
            f"{each.id[:ID]}\n[dim]{each.started.astimezone():%Y-%m-%d %H:%M}[/dim]",
            f"{escape(one_line(each.image))}\n"
            f"[dim]{escape(one_line(', '.join(each.segments)))}[/dim]",
            str(each.slices),
            f"{each.seconds:.1f}",
            "" if each.score is None else f"{each.score:.2f}\n[dim]{each.worst:.2f}[/dim]",
            f"{each.preset}\n[dim]{each.ending}[/dim]",
        )
    console.print(table)


def _plain(entry: HistoryEntry) -> dict[str, object]:
    plain = to_json(entry)
    del plain["record"], plain["affine"]
    return plain
