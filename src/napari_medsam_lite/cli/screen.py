"""Whether a window can be opened here."""

from __future__ import annotations

import subprocess
import sys

_OPEN_QT = "from qtpy.QtWidgets import QApplication; QApplication([])"


def can_open_window() -> bool:
    """Try it in a process of its own: where there is no display, Qt ends the one that asks."""
    tried = subprocess.run(
        [sys.executable, "-c", _OPEN_QT], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    return tried.returncode == 0
