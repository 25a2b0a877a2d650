"""What was found out about a preset on this machine."""

from __future__ import annotations

from dataclasses import dataclass

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
