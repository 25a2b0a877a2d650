"""Presets whose arithmetic this processor only emulates: they run, at a tenth of the speed.

Measured on AVX2 alone: 10 s a slice where ``eager`` takes 1.3. ``auto`` never chooses them, because
it takes the fastest and ``eager`` is always measured too.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from napari_medsam_lite.acceleration.availability import no_cuda
from napari_medsam_lite.acceleration.presets import Precision, find_preset
from napari_medsam_lite.core.settings import AUTO

UNITS: dict[Precision, tuple[str, frozenset[str]]] = {
    "half": ("bfloat16", frozenset({"avx512_bf16", "amx_bf16", "bf16"})),
    "int8-dynamic": (
        "8-bit",
        frozenset({"avx512_vnni", "avx_vnni", "amx_int8", "i8mm", "asimddp"}),
    ),
}
"""What torch needs on a processor, in words and as Linux calls it; any one of the names is enough.

OpenVINO computes in float32 where it has no units for less.
"""


def emulated(preset_name: str, device: str = AUTO) -> str | None:
    """One sentence if the preset is slow on `device` because it is emulated there, else None.

    None also where the processor's abilities are not known: on systems other than Linux.

    Raises
    ------
    BackendUnavailableError
        If there is no preset of that name.
    """
    preset = find_preset(preset_name)
    on_gpu = device not in (AUTO, "cpu") or (device == AUTO and no_cuda() is None)
    flags = processor_flags()
    if preset.runtime == "openvino" or preset.precision not in UNITS or on_gpu or not flags:
        return None
    units, names = UNITS[preset.precision]
    if flags & names:
        return None
    return (
        f"The preset {preset.name} is slow here: this processor has no {units} units, so they are "
        "emulated."
    )


@cache
def processor_flags() -> frozenset[str]:
    """The processor's abilities by their names on Linux; empty where they are not known."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    for line in lines:
        name, _, values = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return frozenset(values.split())
    return frozenset()
