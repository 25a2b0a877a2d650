"""Devices: which there are, and what they are called."""

from __future__ import annotations

import platform

import psutil
import torch

from napari_medsam_lite.core.errors import BackendUnavailableError
from napari_medsam_lite.core.settings import AUTO


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


def free_memory(device: torch.device) -> int:
    """Bytes that new tensors on `device` can take."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        # torch keeps what was freed for itself: to the driver that is taken.
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(free) + kept
    # Apple's GPU shares the computer's memory.
    return int(psutil.virtual_memory().available)


def device_label(device: torch.device) -> str:
    """The device's name for people, for example ``"NVIDIA RTX 4050 (cuda)"``."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)} ({device})"
    if device.type == "cpu":
        processor = platform.processor() or platform.machine()
        return f"{processor} CPU, {torch.get_num_threads()} threads"
    return str(device)
