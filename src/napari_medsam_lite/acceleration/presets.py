"""The acceleration presets, as rows of data. No torch here: the GUI and the CLI read this table.

Attention, precision and runtime are separate fields, so a preset is a combination of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from napari_medsam_lite.core.errors import BackendUnavailableError

Attention = Literal["manual", "sdpa"]
Precision = Literal["float32"]
Runtime = Literal["torch"]

AUTO = "auto"


@dataclass(frozen=True)
class Preset:
    """One way to run the network.

    `summary` is a sentence fragment for tables and tooltips.
    """

    name: str
    summary: str
    attention: Attention = "sdpa"
    precision: Precision = "float32"
    runtime: Runtime = "torch"


PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset("eager", "the published arithmetic, the reference", attention="manual"),
        Preset("sdpa", "fused scaled dot product attention"),
    )
}


def find_preset(name: str) -> Preset:
    """The preset called `name`.

    Raises
    ------
    BackendUnavailableError
        If there is none.
    """
    if name not in PRESETS:
        raise BackendUnavailableError(
            f"There is no preset '{name}'; choose one of {', '.join([AUTO, *PRESETS])}."
        )
    return PRESETS[name]
