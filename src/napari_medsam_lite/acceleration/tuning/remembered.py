"""What was measured on this machine, kept in the user's cache folder.

An answer holds for this hardware, these versions and this checkpoint. It is only ever a help: a
file that cannot be read is no answer, one that cannot be written is told to the log.
"""

from __future__ import annotations

import json
import logging
import math
import platform
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from napari_medsam_lite.acceleration.presets import PRESETS
from napari_medsam_lite.acceleration.tuning.measurement import Measurement
from napari_medsam_lite.core.cores import usable_cores
from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.core.files import cache_folder, make_folder, replacing
from napari_medsam_lite.core.settings import AUTO
from napari_medsam_lite.model.weights import Checkpoint

log = logging.getLogger(__name__)


def remembered(checkpoint: Checkpoint, device: str = AUTO) -> dict[str, Measurement]:
    """What was measured on this machine with these versions and this checkpoint, by preset."""
    try:
        rows = json.loads(memory_file(checkpoint, device).read_text(encoding="utf-8"))
        found = [_to_measurement(row) for row in rows]
    except (OSError, ValueError, TypeError):
        return {}
    return {row.preset: row for row in found}


def _to_measurement(row: dict[str, Any]) -> Measurement:
    """A row of the file, which anyone may have changed.

    Raises
    ------
    ValueError, TypeError
        If it does not hold what `remember` writes.
    """
    found = Measurement(**row)
    figures = (found.encode, found.decode, found.load, found.memory, found.agreement)
    if found.preset not in PRESETS or not all(map(math.isfinite, figures)):
        raise ValueError(f"{row} is no measurement")
    return found


def remember(found: Sequence[Measurement], checkpoint: Checkpoint, device: str) -> None:
    """Add to what is remembered; a reader sees the old answer or the new one, never half of it."""
    rows = remembered(checkpoint, device) | {row.preset: row for row in found}
    file = memory_file(checkpoint, device)
    try:
        make_folder(file.parent)
        with replacing(file) as unfinished:
            text = json.dumps([asdict(row) for row in rows.values()], indent=1)
            unfinished.write_text(text, encoding="utf-8")
    except FileFormatError as error:
        log.warning("What was measured is not remembered: %s", error)


def memory_file(checkpoint: Checkpoint, device: str) -> Path:
    """Where the answers for this machine, device and checkpoint are kept."""
    root = cache_folder("calibration")
    parts = (*_machine(), device, checkpoint.sha256[:16])
    return root / ("-".join("".join(c if c.isalnum() else "_" for c in p) for p in parts) + ".json")


@cache
def _machine() -> tuple[str, ...]:
    """Processor, cores and the versions that the figures depend on."""
    versions = []
    for name in ("napari-medsam-lite", "torch", "openvino", "torchao"):
        try:
            versions.append(metadata.version(name))
        except metadata.PackageNotFoundError:
            versions.append("none")
    return (_processor(), str(usable_cores()), *versions)


def _processor() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
