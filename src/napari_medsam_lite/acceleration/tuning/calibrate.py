"""Measuring the presets so that ``auto`` knows the fastest from then on."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing

from napari_medsam_lite.acceleration.availability import unavailable
from napari_medsam_lite.acceleration.emulated import emulated
from napari_medsam_lite.acceleration.presets import PRESETS
from napari_medsam_lite.acceleration.tuning.compare import CalibrationCase, measure_presets
from napari_medsam_lite.acceleration.tuning.measurement import Measurement
from napari_medsam_lite.acceleration.tuning.remembered import remember, remembered
from napari_medsam_lite.core.settings import AUTO
from napari_medsam_lite.model.weights import Checkpoint


def calibrate(
    checkpoint: Checkpoint,
    device: str = AUTO,
    case: CalibrationCase | None = None,
    presets: Iterable[str] = tuple(PRESETS),
) -> Iterator[str | Measurement]:
    """`compare.measure_presets`, where each answer is remembered before it is yielded."""
    yield from _remembering(measure_presets(checkpoint, device, case, presets), checkpoint, device)


def find_fastest(
    checkpoint: Checkpoint,
    device: str = AUTO,
    case: CalibrationCase | None = None,
    build: bool = False,
) -> Iterator[str | Measurement]:
    """What `calibrate` yields, for all presets within a minute or so, to know what ``auto`` is.

    Those that are left out come first, with the reason; what turns out too slow is given up.
    `build` has those measured too that are built first, which takes minutes.
    """
    reasons = {name: left_out(name, checkpoint, device, build) for name in PRESETS}
    yield from (Measurement(name, reason) for name, reason in reasons.items() if reason)
    # Two-byte floats first: where they run well they win, and the others are given up sooner.
    names = sorted(
        (name for name, reason in reasons.items() if reason is None),
        key=lambda name: PRESETS[name].precision != "half",
    )
    found = measure_presets(checkpoint, device, case, names, stop_slow=True)
    yield from _remembering(found, checkpoint, device)


def left_out(
    name: str, checkpoint: Checkpoint, device: str = AUTO, build: bool = False
) -> str | None:
    """One sentence if `find_fastest` leaves out a preset that could run, else None."""
    if unavailable(name, device) is not None:
        return None
    slow = emulated(name, device)
    if slow or build or not PRESETS[name].built or _was_built(name, checkpoint, device):
        return slow
    return (
        f"The preset {name} is not measured, for building it takes minutes; "
        "medsam-lite presets --build does both."
    )


def _was_built(name: str, checkpoint: Checkpoint, device: str) -> bool:
    """Whether it has run here with these versions, so that what was built is in the cache."""
    found = remembered(checkpoint, device).get(name)
    return found is not None and found.encode > 0


def _remembering(
    items: Generator[str | Measurement, None, None], checkpoint: Checkpoint, device: str
) -> Iterator[str | Measurement]:
    # Closed with this generator, whatever the interpreter: it ends the process that measures.
    with closing(items):
        for item in items:
            if isinstance(item, Measurement):
                remember([item], checkpoint, device)
            yield item
