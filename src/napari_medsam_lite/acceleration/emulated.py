"""Presets whose arithmetic this processor only emulates: they run, at a tenth of the speed.

Measured on AVX2 alone: 10 s a slice where ``eager`` takes 1.3. ``auto`` never chooses them, and
what measures all presets leaves them out; named by the user, they run and say the sentence.
"""

from __future__ import annotations

import sys

from napari_medsam_lite.acceleration.availability import no_cuda
from napari_medsam_lite.acceleration.presets import Precision, Preset, find_preset
from napari_medsam_lite.acceleration.processor import Units, has_units
from napari_medsam_lite.core.settings import AUTO

UNITS: dict[Precision, Units] = {"half": "bfloat16", "int8-dynamic": "8-bit"}
"""What torch needs; OpenVINO computes in float32 where it has no units for less."""


def emulated(preset_name: str, device: str = AUTO) -> str | None:
    """One sentence if the preset is slow on `device` because it is emulated there, else None.

    None also for ``"auto"``, and where the processor's units are not known.

    Raises
    ------
    BackendUnavailableError
        If there is no preset of that name.
    """
    if preset_name == AUTO:
        return None
    preset = find_preset(preset_name)
    units = None if preset.runtime == "openvino" else UNITS.get(preset.precision)
    # The device last: to know it, torch may have to be loaded.
    if units is None or has_units(units) is not False or not _on_cpu(preset, device):
        return None
    return (
        f"The preset {preset.name} runs slowly here: this processor has no {units} units and only "
        "emulates them."
    )


def _on_cpu(preset: Preset, device: str) -> bool:
    if device != AUTO:
        return device == "cpu"
    if sys.platform == "darwin":  # there "auto" is Apple's GPU for all that run on it
        return bool(preset.devices) and "mps" not in preset.devices
    return no_cuda() is not None
