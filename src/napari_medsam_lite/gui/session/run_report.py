"""What came of a run: counted while it goes on, told at its end."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from napari_medsam_lite.core.segmentation import (
    Segment,
    Segmentation,
    SliceRecord,
    extent_of,
    group_by_label,
)
from napari_medsam_lite.core.settings import Settings
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.core.window import Limits
from napari_medsam_lite.gui.session.request import Request
from napari_medsam_lite.gui.thread.task import Ending
from napari_medsam_lite.io.history_entry import HistoryEntry
from napari_medsam_lite.io.runfile import RunRecord, run_record

if TYPE_CHECKING:
    from napari_medsam_lite.acceleration.backend import Backend


@dataclass(frozen=True)
class Ready:
    """The engine is ready: what is really in use, and how many masks will come at most."""

    preset: str
    device: str
    target: str
    checkpoint_sha256: str
    notice: str | None
    total: int
    volume: Volume
    limits: Limits


@dataclass(frozen=True)
class InUse:
    """What really computes: in words with the notice on the checkpoint, and by name."""

    text: str
    preset: str
    target: str
    checkpoint_sha256: str

    @classmethod
    def of(cls, backend: Backend) -> InUse:
        """That of a backend that is loaded."""
        preset, weights = backend.preset.name, backend.checkpoint
        text = told_in_use(preset, backend.device, weights.notice)
        return cls(text, preset, backend.target, weights.sha256)


@dataclass
class RunReport:
    """The standing of one run.

    Attributes
    ----------
    ready : Ready or None
        What is in use; None before the engine is ready.
    rows : list of SliceRecord
        What is known of each mask, empty ones included.
    visited : dict
        Label -> slices that have an answer, empty masks included.
    found : set of int
        Labels with at least one mask that is not empty.
    unseen : str
        A sentence on boxes that the network cannot see into.
    """

    request: Request
    ready: Ready | None = None
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    clock: float = field(default_factory=time.perf_counter)
    rows: list[SliceRecord] = field(default_factory=list)
    visited: dict[int, set[int]] = field(default_factory=dict)
    found: set[int] = field(default_factory=set)
    unseen: str = ""

    @property
    def settings(self) -> Settings:
        """Those of the request, with the preset and device that ``auto`` became."""
        settings, ready = self.request.settings, self.ready
        if ready is None:
            return settings
        return replace(settings, preset=ready.preset, device=ready.target)

    @property
    def slices(self) -> int:
        """How many slices have an answer."""
        return len(set().union(*self.visited.values()))

    def note(self, row: SliceRecord, found: bool) -> None:
        """A mask has come; `found`: it is not empty."""
        self.rows.append(row)
        self.visited.setdefault(row.label, set()).add(row.index)
        if found:
            self.found.add(row.label)

    def stale(self, before: Mapping[int, frozenset[int]]) -> list[tuple[int, int]]:
        """(label, slice) pairs painted `before` that this run, finished, left without a mask."""
        axis, request = self.request.settings.axis, self.request
        labels, segments = group_by_label(request.boxes, request.labels)
        return [
            (label, index)
            for label, segment in zip(labels, segments, strict=True)
            for first, last in (extent_of(track, axis) for track in segment.tracks(axis))
            for index in sorted(before[label] - self.visited.get(label, set()))
            if first <= index <= last
        ]

    def in_use(self) -> str:
        """Preset, device and the notice on the checkpoint, for the status line."""
        ready = self.ready
        return "" if ready is None else told_in_use(ready.preset, ready.device, ready.notice)

    def sentence(self, ending: Ending, withheld: int = 0) -> str:
        """The last word on the run, in a sentence or two; `withheld` voxels stayed as they were."""
        if ending.how == "failed":
            return ending.reason
        if ending.how == "cancelled":
            return f"Cancelled: {_count(self.slices, 'slice')} kept; Continue goes on from there."
        boxes = len(self.request.boxes)
        done = f"Done: {_count(boxes, 'box', 'boxes')} on {_count(self.slices, 'slice')}"
        missed = sum(label not in self.found for label in self.request.labels)
        nothing = f"Nothing was found in {_count(missed, 'box', 'boxes')}." if missed else ""
        kept = told_withheld(withheld, self.request.settings.overlap)
        parts = (
            self.unseen,
            f"{done} in {self.seconds():.1f} s.",
            nothing,
            kept,
            self.request.left_out,
        )
        return " ".join(filter(None, parts))

    def seconds(self) -> float:
        """Since the press of the button."""
        return time.perf_counter() - self.clock

    def entry(self, ending: Ending, segments: Segmentation, fingerprint: str) -> HistoryEntry:
        """The run's line in the history; `fingerprint` is that of the image."""
        request, ready = self.request, self.ready
        numbers = dict.fromkeys(request.labels)
        found = HistoryEntry(
            image=request.snapshot.name,
            fingerprint=fingerprint,
            kind=request.kind,
            preset=ready.preset if ready else request.settings.preset,
            device=ready.device if ready else request.settings.device,
            segments=tuple((segments.get(n) or Segment(number=n)).title for n in numbers),
            boxes=len(request.boxes),
            slices=self.slices,
            seconds=self.seconds(),
            ending=ending.how,
            axis=request.settings.axis,
            index=request.boxes[0].key_slice(request.settings.axis),
            number=request.labels[0],
            started=self.started,
        )
        if ready is None:
            return found
        return found.of_run(self._record(ready, ending, fingerprint), ready.volume)

    def _record(self, ready: Ready, ending: Ending, fingerprint: str) -> RunRecord:
        """What a run file of the run holds."""
        seconds = {"total": self.seconds()}
        return run_record(
            ready.volume,
            self.request.boxes,
            self.settings,
            ready.checkpoint_sha256,
            ids=self.request.labels,
            ending=ending.how,
            slices=self.rows,
            seconds=seconds,
            fingerprint=fingerprint,
        )


def told_in_use(preset: str, device: str, notice: str | None) -> str:
    """What really computes, with the notice on the checkpoint."""
    return " ".join(filter(None, (f"In use: {preset} on {device}.", notice)))


def told_withheld(voxels: int, overlap: str) -> str:
    """A sentence on the voxels that masks wanted and that stayed as they were; empty for none."""
    if not voxels:
        return ""
    return f"{voxels:,} voxels stayed with other segments or as painted (overlap: {overlap})."


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
