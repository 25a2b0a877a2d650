"""What arithmetic this processor has units for, as its flags say: nothing is tried, no torch."""

from __future__ import annotations

import ctypes
import platform
import sys
from functools import cache
from pathlib import Path
from typing import Literal

Units = Literal["bfloat16", "8-bit"]

FLAGS: dict[Units, frozenset[str]] = {
    "bfloat16": frozenset({"avx512_bf16", "amx_bf16", "bf16"}),
    "8-bit": frozenset({"avx512_vnni", "avx_vnni", "amx_int8", "i8mm", "asimddp"}),
}
"""What torch needs, as Linux calls it; any one is enough."""

FEATURES: dict[Units, tuple[str, ...]] = {
    "bfloat16": ("FEAT_BF16",),
    "8-bit": ("FEAT_I8MM", "FEAT_DotProd"),
}
"""The same, as macOS calls it."""

PF_AVX512F = 41
"""The number of Windows for the least that processors with bfloat16 units have, from winnt.h."""


@cache
def has_units(units: Units) -> bool | None:
    """Whether the processor has units that torch can use; None if the system does not tell."""
    if sys.platform == "darwin":
        return _on_macos(units)
    if sys.platform == "win32":
        return _on_windows(units)
    return _on_linux(units)


def _on_linux(units: Units) -> bool | None:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        name, _, values = line.partition(":")
        if name.strip() in ("flags", "Features") and values.strip():
            return not FLAGS[units].isdisjoint(values.split())
    return None


def _on_macos(units: Units) -> bool | None:
    found = [_sysctl(f"hw.optional.arm.{feature}") for feature in FEATURES[units]]
    return None if None in found else any(found)


def _sysctl(name: str) -> bool | None:
    """A flag of macOS's kernel; None where it has none of that name, as on Intel's processors."""
    value, size = ctypes.c_int(0), ctypes.c_size_t(ctypes.sizeof(ctypes.c_int))
    where = ctypes.byref(value), ctypes.byref(size)
    failed = ctypes.CDLL(None).sysctlbyname(name.encode(), *where, None, ctypes.c_size_t(0))
    return None if failed else bool(value.value)


def _on_windows(units: Units) -> bool | None:
    """Windows knows neither kind, but without AVX-512 there is no bfloat16."""
    if units != "bfloat16" or platform.machine() != "AMD64":
        return None
    known = ctypes.CDLL("kernel32").IsProcessorFeaturePresent(PF_AVX512F)
    return None if known else False
