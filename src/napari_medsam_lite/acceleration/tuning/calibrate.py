"""Measuring the presets so that ``auto`` knows the fastest from then on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing

from napari_medsam_lite.acceleration.presets import PRESETS
from napari_medsam_lite.acceleration.tuning.compare import CalibrationCase, measure_presets
from napari_medsam_lite.acceleration.tuning.measurement import Measurement
from napari_medsam_lite.acceleration.tuning.remembered import remember
from napari_medsam_lite.core.settings import AUTO
from napari_medsam_lite.model.weights import Checkpoint


def calibrate(
    checkpoint: Checkpoint,
    device: str = AUTO,
    case: CalibrationCase | None = None,
    presets: Iterable[str] = tuple(PRESETS),
) -> Iterator[str | Measurement]:
    """`compare.measure_presets`, where each answer is remembered before it is yielded."""
    # Closed with this generator, whatever the interpreter: it ends the process that measures.
    with closing(measure_presets(checkpoint, device, case, presets)) as items:
        for item in items:
            if isinstance(item, Measurement):
                remember([item], checkpoint, device)
            yield item
