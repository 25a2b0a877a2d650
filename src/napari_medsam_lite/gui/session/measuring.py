"""The dock's Measure presets: times them on this computer, so that ``auto`` knows the fastest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from napari_medsam_lite.acceleration.presets import PRESETS
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.gui.thread.runner import Ending, JobRunner


@dataclass(frozen=True)
class Chosen:
    """What ``auto`` is from now on, with seconds a slice and a box if it was measured."""

    preset: str
    encode: float | None = None
    decode: float | None = None


Measure = Callable[[str], Iterator[Any]]
"""Device -> what is going on (str), a `Measurement` a preset, and at the end `Chosen`."""


def measure_presets(device: str) -> Iterator[Any]:
    """Measure all presets on slices of the phantom; each runs in a process of its own."""
    from napari_medsam_lite.acceleration.choose import best_preset
    from napari_medsam_lite.acceleration.tuning.calibrate import calibrate
    from napari_medsam_lite.acceleration.tuning.remembered import remembered
    from napari_medsam_lite.benchmark.agreement import phantom_case
    from napari_medsam_lite.model.weights import find_checkpoint

    yield "Drawing the slices to measure on..."
    case, checkpoint = phantom_case(), find_checkpoint()
    yield from calibrate(checkpoint, device, case)
    best = best_preset(checkpoint, device)
    found = remembered(checkpoint, device).get(best)
    yield Chosen(best, found.encode if found else None, found.decode if found else None)


class Measuring:
    """Runs the measurement as a job of the session, and tells what comes of it.

    Parameters
    ----------
    runner : JobRunner
        The session's: a run and a measurement must not disturb each other.
    state : SessionState
        Where progress and the outcome are shown.
    finished : callable
        Told when ``auto`` may mean another preset now.
    measure : callable
        What measures.
    """

    def __init__(
        self,
        runner: JobRunner,
        state: SessionState,
        finished: Callable[[], None],
        measure: Measure = measure_presets,
    ) -> None:
        self._runner, self._state = runner, state
        self._finished, self._measure = finished, measure
        self._active = False
        self._chosen: Chosen | None = None
        runner.yielded.connect(self._on_items)
        runner.ended.connect(self._on_ended)

    def start(self) -> None:
        """Measure now; takes minutes, and can be cancelled.

        Raises
        ------
        MedSAMLiteError
            If a job is in flight.
        """
        device = self._state.device
        self._runner.start(lambda: self._measure(device))
        self._active, self._chosen = True, None
        self._state.done, self._state.total = 0, len(PRESETS)
        self._state.busy = True

    def _on_items(self, items: list[Any]) -> None:
        if not self._active:
            return
        for item in items:
            if isinstance(item, Chosen):
                self._chosen = item
            elif not isinstance(item, str):
                self._state.done += 1
        texts = [item for item in items if isinstance(item, str)]
        if texts:
            self._state.tell(texts[-1].capitalize())

    def _on_ended(self, ending: Ending) -> None:
        if not self._active:
            return
        self._active = False
        self._state.busy = False
        self._finished()
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
