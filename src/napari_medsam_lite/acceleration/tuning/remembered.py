"""What was measured on this machine, kept in the user's cache folder.

An answer holds for this hardware, these versions and this checkpoint.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

import psutil

from napari_medsam_lite.core.files import cache_folder, make_folder, replacing
from napari_medsam_lite.core.settings import AUTO
from napari_medsam_lite.model.weights import Checkpoint

WARN_BELOW = 0.95

BOXES_A_SLICE = 2
"""What counts as fastest: the time of one slice and this many boxes."""


@dataclass(frozen=True)
class Measurement:
    """A preset on this machine: its figures, or the `reason` why it has none.

    `encode` seconds a slice, `decode` seconds a box in batches of 8, `load` seconds to get ready,
    `memory` bytes added at the peak, `agreement` mean mask Dice with ``eager`` for the same boxes.
    """

    preset: str
    reason: str | None = None
    device: str = ""
    encode: float = 0.0
    decode: float = 0.0
    load: float = 0.0
    memory: int = 0
    agreement: float = 0.0

    @property
    def warning(self) -> str | None:
        """One sentence where the masks are not those of ``eager`` any more, else None."""
        if self.reason is not None or self.agreement >= WARN_BELOW:
            return None
        mean = f"{self.agreement:.2f}"
        return f"The preset {self.preset} changes the masks: mean Dice with eager {mean}."

    @property
    def cost(self) -> float:
        """Seconds for one slice with some boxes: what presets are ranked by."""
        return self.encode + BOXES_A_SLICE * self.decode


def remembered(checkpoint: Checkpoint, device: str = AUTO) -> dict[str, Measurement]:
    """What was measured on this machine with these versions and this checkpoint, by preset."""
    try:
        rows = json.loads(memory_file(checkpoint, device).read_text())
        return {row["preset"]: Measurement(**row) for row in rows}
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def remember(found: Sequence[Measurement], checkpoint: Checkpoint, device: str) -> None:
    """Add to what is remembered; a reader sees the old answer or the new one, never half of it."""
    rows = remembered(checkpoint, device) | {row.preset: row for row in found}
    file = memory_file(checkpoint, device)
    make_folder(file.parent)
    with replacing(file) as unfinished:
        text = json.dumps([asdict(row) for row in rows.values()], indent=1)
        unfinished.write_text(text, encoding="utf-8")


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
    return (_processor(), str(psutil.cpu_count() or 0), *versions)


def _processor() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
