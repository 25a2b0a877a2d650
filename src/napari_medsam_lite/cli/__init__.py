"""The command line: ``medsam-lite``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

STOPPED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns
    -------
    int
        The exit status: 0 on success, 2 on wrong use, 1 on a failure, 130 after Ctrl-C.
    """
    try:
        # Imported here: the second that it takes may be the one in which the user presses Ctrl-C.
        from napari_medsam_lite.cli.commands import run_command

        return run_command(argv)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return STOPPED
