"""What was found out about a preset on this machine."""

from __future__ import annotations

from dataclasses import dataclass

from napari_medsam_lite.acceleration.presets import PRESETS

WARN_BELOW = 0.95

ENOUGH = 0.97
"""The agreement with ``eager`` that ``auto`` asks for."""

BOXES_A_SLICE = 2
"""What counts as fastest: the time of one slice and this many boxes."""


@dataclass(frozen=True)
class Measurement:
    """A preset on this machine: its figures, or the `reason` why it has none.

    One that was stopped has both, but knows nothing of boxes and masks. `encode` seconds a slice,
    `decode` seconds a box in batches of 8, `load` seconds to get ready,
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
    def stopped(self) -> bool:
        """Whether it was given up after its first slices, as too slow."""
        return self.reason is not None and self.encode > 0

    @property
    def for_auto(self) -> bool:
        """Whether ``auto`` may choose it, if it is the fastest."""
        return self.reason is None and self.agreement >= ENOUGH and PRESETS[self.preset].by_auto

    @property
    def warning(self) -> str | None:
        """One sentence where it was stopped or its masks are not those of ``eager``, else None."""
        if self.stopped:
            return self.reason
        if self.reason is not None or self.agreement >= WARN_BELOW:
            return None
        mean = f"{self.agreement:.2f}"
        return f"The preset {self.preset} changes the masks: mean Dice with eager {mean}."

    @property
    def cost(self) -> float:
        """Seconds for one slice with some boxes: what presets are ranked by."""
        return self.encode + BOXES_A_SLICE * self.decode
