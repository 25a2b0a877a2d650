"""What ``"auto"`` is on this machine."""

from __future__ import annotations

from napari_medsam_lite.acceleration.availability import no_cuda, unavailable
from napari_medsam_lite.acceleration.emulated import emulated
from napari_medsam_lite.acceleration.tuning.remembered import remembered
from napari_medsam_lite.core.settings import AUTO
from napari_medsam_lite.model.weights import Checkpoint


def best_preset(checkpoint: Checkpoint, device: str = AUTO) -> str:
    """The fastest measured preset that agrees with ``eager``; unmeasured, a sensible start.

    Only presets that are still available count, and none that the processor only emulates.
    """
    good = [
        found
        for found in remembered(checkpoint, device).values()
        if found.for_auto
        and unavailable(found.preset, device) is None
        and emulated(found.preset, device) is None
    ]
    return min(good, key=lambda found: found.cost).preset if good else sensible_start(device)


def sensible_start(device: str = AUTO) -> str:
    """The preset to start with before this machine is measured."""
    if device.split(":")[0] in (AUTO, "cuda") and no_cuda() is None:
        return "bf16"
    return "openvino" if unavailable("openvino", device) is None else "sdpa"
