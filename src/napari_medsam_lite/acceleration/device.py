"""Devices: which there are, what they are called, and how the CPU's memory is kept at hand."""

from __future__ import annotations

import ctypes
import platform
import sys
from functools import cache

import torch

from napari_medsam_lite.core.errors import BackendUnavailableError

AUTO = "auto"

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
MMAP_THRESHOLD = 256 << 20
MMAP_THRESHOLD_DOCUMENTED = 32 << 20
TRIM_THRESHOLD = 512 << 20


def resolve_device(name: str = AUTO) -> torch.device:
    """The torch device called `name`; ``"auto"`` takes CUDA, then Apple's MPS, then the CPU.

    Raises
    ------
    BackendUnavailableError
        If the device does not exist on this machine: nothing falls back silently.
    """
    if name == AUTO:
        return torch.device(available_devices()[0])
    try:
        device = torch.device(name)
    except RuntimeError:
        raise BackendUnavailableError(
            f"'{name}' is no device; choose one of {', '.join([AUTO, *available_devices()])}."
        ) from None
    if device.type not in available_devices() or (
        device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()
    ):
        found = ", ".join(available_devices())
        raise BackendUnavailableError(
            f"The device '{name}' is not available here; available: {found}."
        )
    return device


def available_devices() -> list[str]:
    """Device types of this machine, the fastest first; the CPU is always there."""
    found = []
    if torch.cuda.is_available():
        found.append("cuda")
    if torch.backends.mps.is_available():
        found.append("mps")
    return [*found, "cpu"]


def device_label(device: torch.device) -> str:
    """The device's name for people, for example ``"NVIDIA RTX 4050 (cuda)"``."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)} ({device})"
    if device.type == "cpu":
        processor = platform.processor() or platform.machine()
        return f"{processor} CPU, {torch.get_num_threads()} threads"
    return str(device)


@cache
def keep_freed_memory() -> bool:
    """Let glibc keep the memory of freed activations, and say whether it does.

    By default it maps every block above some 32 MB anew and gives it back when freed, so that each
    layer pays for fresh zeroed pages. The trim threshold alone is harmful: setting it fixes the
    mapping threshold at 128 kB, and then every activation is mapped anew. The manual page puts the
    mapping threshold's maximum at 32 MB; glibc 2.36 takes more, and one that refuses gets 32 MB.
    Blocks above 256 MB (whole volumes) still go back at once. Only Linux with glibc.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # musl
        return False
    mapped = mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD) or mallopt(
        M_MMAP_THRESHOLD, MMAP_THRESHOLD_DOCUMENTED
    )
    return bool(mapped and mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD))
