"""One line of the history: what a run was, and how it is found again among many."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal, get_args
from uuid import uuid4

from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.core.segmentation import NOTHING_FOUND
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.io.fields import reason_of, typed
from napari_medsam_lite.io.runfile import (
    ENDINGS,
    RunRecord,
    run_from_json,
    run_to_json,
)

Kind = Literal["slice", "volume"]
Affine = tuple[tuple[float, ...], ...]
WHERE = "This line of the history"
TEXTS = ("id", "image", "fingerprint", "preset", "device")
COUNTS = ("boxes", "slices", "axis", "index", "number")


@dataclass(frozen=True)
class HistoryEntry:
    """One run.

    Attributes
    ----------
    image : str
        Its name, without a folder; of a DICOM series its modality and number.
    fingerprint : str
        Of the image's voxels: by this it is known again.
    kind : str
        ``"slice"`` or ``"volume"``.
    preset, device : str
        What really did it.
    segments : tuple of str
        The titles of what was outlined.
    boxes, slices : int
        Boxes asked for; slices that have an answer.
    seconds : float
        From its start to its end.
    score, worst : float or None
        The mean and the lowest of the network's own estimates of the IoU; None without a mask.
    ending : str
        One of `runfile.ENDINGS`.
    axis, index, number : int
        The slice to look at, and the label of the segment there.
    record : RunRecord or None
        What a run file of it holds. None if the run never began, and in lists.
    affine : tuple of tuple of float or None
        (4, 4) of the image, for the boxes in world millimetres.
    started : datetime
        UTC.
    id : str
        Not that of any other run.
    """

    image: str
    fingerprint: str
    kind: Kind
    preset: str
    device: str
    segments: tuple[str, ...] = ()
    boxes: int = 0
    slices: int = 0
    seconds: float = 0.0
    score: float | None = None
    worst: float | None = None
    ending: str = "finished"
    axis: int = 0
    index: int = 0
    number: int = 0
    record: RunRecord | None = None
    affine: Affine | None = None
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    id: str = field(default_factory=lambda: uuid4().hex)

    def of_run(self, record: RunRecord, volume: Volume) -> HistoryEntry:
        """The line with what is known of a run on `volume` that began."""
        scores = [row.score for row in record.slices if row.reason != NOTHING_FOUND]
        axis, first = record.settings.axis, next(iter(record.boxes), None)
        index = self.index if first is None else first.key_slice(axis)
        # A DICOM folder may be called as the patient; what is in it, as the series.
        is_series = volume.source is not None and volume.source.files
        return replace(
            self,
            score=sum(scores) / len(scores) if scores else None,
            worst=min(scores, default=None),
            ending=record.ending,
            axis=axis,
            index=min(max(index, 0), volume.shape[axis] - 1),  # boxes may reach out of the image
            number=next(iter(record.ids), 1),
            record=replace(record, input=volume.name) if is_series else record,
            affine=tuple(tuple(float(v) for v in row) for row in volume.affine),
        )


COLUMNS: dict[str, Callable[[HistoryEntry], Any]] = {
    "time": lambda e: e.started,
    "image": lambda e: e.image.casefold(),
    "segments": lambda e: ", ".join(e.segments).casefold(),
    "kind": lambda e: e.kind,
    "boxes": lambda e: e.boxes,
    "slices": lambda e: e.slices,
    "preset": lambda e: e.preset,
    "device": lambda e: e.device,
    "seconds": lambda e: e.seconds,
    "score": lambda e: -1.0 if e.score is None else e.score,
    "worst": lambda e: -1.0 if e.worst is None else e.worst,
    "ending": lambda e: e.ending,
}
"""What lines can be sorted by."""


def in_order(
    entries: Iterable[HistoryEntry], column: str, descending: bool = False
) -> list[HistoryEntry]:
    """The entries sorted by one of `COLUMNS`; equal ones stay as they are."""
    return sorted(entries, key=COLUMNS[column], reverse=descending)


def select(
    entries: Iterable[HistoryEntry],
    *,
    text: str = "",
    image: str = "",
    fingerprint: str = "",
    preset: str = "",
    ending: str = "",
) -> list[HistoryEntry]:
    """The entries that are all of what is given.

    Parameters
    ----------
    text : str
        Each of its words stands somewhere in the entry's line.
    image : str
        A part of the image's name.
    fingerprint, preset, ending : str
        As in the entry.
    """
    words = text.casefold().split()
    return [
        each
        for each in entries
        if image.casefold() in each.image.casefold()
        and fingerprint in ("", each.fingerprint)
        and preset in ("", each.preset)
        and ending in ("", each.ending)
        and all(word in _line(each) for word in words)
    ]


def to_json(entry: HistoryEntry) -> dict[str, Any]:
    """The entry as plain values for JSON."""
    plain = asdict(replace(entry, record=None))
    plain["started"] = entry.started.isoformat()
    plain["record"] = None if entry.record is None else run_to_json(entry.record)
    return plain


def from_json(content: Any) -> HistoryEntry:
    """The entry that `to_json` made plain.

    Raises
    ------
    FileFormatError
        If something is missing or is not what it should be.
    """
    try:
        record = content["record"]
        affine = content["affine"]
        return HistoryEntry(
            **{name: typed(content[name], str, name) for name in TEXTS},
            **{name: _count(content, name) for name in COUNTS},
            kind=_one_of(content, "kind", get_args(Kind)),
            ending=_one_of(content, "ending", ENDINGS),
            segments=tuple(str(title) for title in content["segments"]),
            seconds=_finite(content["seconds"]),
            score=None if content["score"] is None else _finite(content["score"]),
            worst=None if content["worst"] is None else _finite(content["worst"]),
            record=None if record is None else run_from_json(record, WHERE),
            affine=None if affine is None else _affine(affine),
            started=_time(content["started"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise FileFormatError(f"{WHERE} is damaged: {reason_of(error)}.") from error


def _line(entry: HistoryEntry) -> str:
    parts = (entry.image, *entry.segments, entry.kind, entry.preset, entry.device, entry.ending)
    return " ".join(parts).casefold()


def _count(content: Any, name: str) -> Any:
    value = typed(content[name], int, name)
    if value < 0:
        raise ValueError(f"'{name}' is {value!r}")
    return value


def _one_of(content: Any, name: str, known: Sequence[str]) -> Any:
    if content[name] not in known:
        raise ValueError(f"'{name}' is {content[name]!r}")
    return content[name]


def _finite(value: Any) -> float:
    number = float(typed(value, (int, float), "number"))
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is no number")
    return number


def _affine(rows: Any) -> Affine:
    found = tuple(tuple(_finite(value) for value in row) for row in rows)
    if [len(row) for row in found] != [4] * 4:
        raise ValueError("the affine is not 4 x 4")
    return found


def _time(text: Any) -> datetime:
    when = datetime.fromisoformat(text)
    if when.tzinfo is None:
        raise ValueError(f"'{text}' has no time zone")
    return when.astimezone(UTC)
