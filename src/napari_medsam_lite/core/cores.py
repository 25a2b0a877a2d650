"""The processor's cores."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """How many this process may use: on a shared machine not always all."""
    allowed = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    return len(allowed(0)) if allowed else os.cpu_count() or 1
