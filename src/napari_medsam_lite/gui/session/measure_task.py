"""Measure presets: times them on this computer, so that ``auto`` knows the fastest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from napari_medsam_lite.gui.session.engine import SessionEngine
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.gui.thread.task import Ending, Task


@dataclass(frozen=True)
class Chosen:
    """What ``auto`` is from now on, with seconds a slice and a box if it was measured."""

    preset: str
    encode: float | None = None
    decode: float | None = None


Measure = Callable[[str], Iterator[Any]]
"""Device -> what is going on (str), a `Measurement` a preset, and at the end `Chosen`."""


def measure_presets(device: str) -> Iterator[Any]:
    """Find the fastest preset on slices of the phantom; each runs in a process of its own."""
    from napari_medsam_lite.acceleration.choose import best_preset
    from napari_medsam_lite.acceleration.tuning.calibrate import find_fastest
    from napari_medsam_lite.acceleration.tuning.remembered import remembered
    from napari_medsam_lite.benchmark.agreement import phantom_case
    from napari_medsam_lite.model.weights import find_checkpoint

    yield "Drawing the slices to measure on..."
    case, checkpoint = phantom_case(), find_checkpoint()
    yield from find_fastest(checkpoint, device, case)
    best = best_preset(checkpoint, device)
    found = remembered(checkpoint, device).get(best)
    yield Chosen(best, found.encode if found else None, found.decode if found else None)


class MeasureTask(Task):
    """One measurement, on the device chosen when the button was pressed.

    Parameters
    ----------
    state : SessionState
        Where progress and the outcome are shown.
    engine : SessionEngine
        Chooses again for ``auto`` afterwards; its embeddings stay.
    measure : callable
        What measures.
    """

    def __init__(
        self, state: SessionState, engine: SessionEngine, measure: Measure = measure_presets
    ) -> None:
        self._state, self._engine, self._measure = state, engine, measure
        self._device = state.device
        self._chosen: Chosen | None = None

    def work(self) -> Iterator[Any]:
        """Measure; what was measured before a cancellation counts too."""
        try:
            yield from self._measure(self._device)
        finally:
            self._engine.choose_again()

    def on_items(self, items: list[Any]) -> None:
        """Show progress."""
        for item in items:
            if isinstance(item, Chosen):
                self._chosen = item
            elif not isinstance(item, str):
                self._state.done += 1
        texts = [item for item in items if isinstance(item, str)]
        if texts:
            self._state.tell(texts[-1].capitalize())

    def on_ended(self, ending: Ending) -> None:
        """Tell what ``auto`` is now."""
        self._state.busy = False
        if ending.how == "failed":
            self._state.tell(ending.reason, problem=True)
        elif ending.how == "cancelled":
            self._state.tell("Cancelled: what was measured is remembered.")
        elif self._chosen is not None:
            self._state.tell(_outcome(self._chosen))


def _outcome(chosen: Chosen) -> str:
    if chosen.encode is None or chosen.decode is None:
        return f"Auto is {chosen.preset}: no preset could be measured."
    return (
        f"Auto is {chosen.preset} on this computer: {chosen.encode:.2f} s a slice, "
        f"{1000 * chosen.decode:.0f} ms a box."
    )
