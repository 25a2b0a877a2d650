"""How what ``segment`` has done gets into the history of runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.cli.streams import tell
from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.engine.batch import Outcome
from napari_medsam_lite.io.history import History
from napari_medsam_lite.io.history_entry import HistoryEntry
from napari_medsam_lite.io.overlay import labelled_slices, middle_slice, small_overlay
from napari_medsam_lite.io.runfile import RunRecord

Report = dict[str, Any]
Item = TypeVar("Item")


@dataclass(frozen=True)
class Done:
    """What is told of a case, and if it is written its line in the history with a picture."""

    report: Report
    entry: HistoryEntry | None = None
    picture: bytes = b""


def line_of(
    volume: Volume, labels: NDArray[Any], run: RunRecord, report: Report, how: dict[str, Any]
) -> tuple[HistoryEntry, bytes]:
    """A case's line in the history, and its picture, drawn as `how` says."""
    axis = run.settings.axis
    names = {each.number: each.name for each in how["classes"]}
    numbers = [row["label"] for row in report["segments"]]
    entry = HistoryEntry(
        image=volume.name,
        fingerprint=run.fingerprint,
        kind="volume",
        preset=report["preset"],
        device=report["device"],
        segments=tuple(names.get(number, f"Segment {number}") for number in numbers),
        boxes=len(run.boxes),
        slices=len(labelled_slices(labels, axis)),
        seconds=report["seconds"]["total"],
        index=middle_slice(labels, axis),
    ).of_run(run, volume)
    plane = np.moveaxis(labels, axis, 0)[entry.index]
    return entry, small_overlay(volume, plane, entry.index, run.boxes, **how)


def recorded(outcomes: Iterable[Outcome[Item, Done]]) -> Iterator[Outcome[Item, Report]]:
    """The outcomes, with each case that is done kept in the user's history.

    What cannot be kept is told once, and fails nothing.
    """
    history, told = History(tell=tell), False
    for outcome in outcomes:
        done = outcome.result
        try:
            if done is not None and done.entry is not None:
                history.add(done.entry, done.picture)
        except MedSAMLiteError as error:
            if not told:
                tell(str(error))
            told = True
        yield Outcome(outcome.case, None if done is None else done.report, outcome.error)
