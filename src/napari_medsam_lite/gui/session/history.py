"""The session's side of the history: what is shown at once, and kept off the main thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.gui.session.desk import Desk
from napari_medsam_lite.gui.session.errand import Errand
from napari_medsam_lite.gui.session.run_report import RunReport
from napari_medsam_lite.gui.session.segment_task import SegmentTask
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.gui.thread.runner import JobRunner
from napari_medsam_lite.gui.thread.task import Ending
from napari_medsam_lite.gui.viewer.geometry import held_by
from napari_medsam_lite.io.history import History
from napari_medsam_lite.io.history_entry import HistoryEntry, from_json, select, to_json
from napari_medsam_lite.io.metadata import FINGERPRINT

MOST_IN_A_CASE = 100


class SessionHistory:
    """Runs of this session and, once somebody looks, of all before.

    Parameters
    ----------
    state : SessionState
        Where they are shown.
    runner : JobRunner
        Does what touches files.
    warn : callable
        Tells of something that went wrong.
    """

    def __init__(self, state: SessionState, runner: JobRunner, warn: Callable[[str], None]) -> None:
        self._state, self._runner, self._warn = state, runner, warn
        self._notices: list[str] = []
        # What it tells it tells on the worker thread; the end of the errand hands it on.
        self._store = History(tell=self._notices.append)
        self._all: list[HistoryEntry] = []
        self._deleted: set[str] = set()
        self._own: set[str] = set()
        self._told: set[str] = set()
        self._looked_at = ""
        self._open = False

    def open(self) -> None:
        """Begin, or begin again after `close`."""
        self._open = True

    def note(self, task: SegmentTask, ending: Ending) -> None:
        """A run has ended: show it, and keep it with its picture."""
        report, desk = task.report, task.desk
        fingerprint = "" if desk.labels is None else str(held_by(desk.labels).get(FINGERPRINT, ""))
        entry = report.entry(ending, desk.segmentation, fingerprint)
        self._all.insert(0, entry)
        self._own.add(entry.id)
        self._show()
        draw, store = picture_of(report, desk, entry), self._store
        self._later(lambda: store.add(entry, draw()))

    def look(self) -> None:
        """Read what was run before this session, and in other windows."""

        def read() -> list[HistoryEntry]:
            self._store.purge(own=False)
            return self._store.entries()

        self._later(read, self._take)

    def rows_of(self, fingerprint: str) -> tuple[dict[str, Any], ...]:
        """The latest runs on an image, for its case file; empty where they cannot be read.

        Not for the main thread.
        """
        try:
            found = select(self._store.entries(), fingerprint=fingerprint)[:MOST_IN_A_CASE]
            return tuple(to_json(_without_masks(self._store.get(each.id))) for each in found)
        except MedSAMLiteError:
            return ()

    def bring(self, rows: Sequence[dict[str, Any]]) -> None:
        """Know the runs that a case file brought; those that are damaged are left out."""
        found = []
        for row in rows:
            with suppress(MedSAMLiteError):
                found.append(from_json(row))
        if found:
            self._later(lambda: self._store.add_missing(reversed(found)))
            self.look()

    def look_at(self, id: str) -> None:
        """Show the picture of the run of that id; none if it is empty."""
        if id != self._looked_at:
            self._looked_at = id
            self.picture(id, lambda png: self._show_picture(id, png))

    def picture(self, id: str, then: Callable[[bytes], None]) -> None:
        """Hand the PNG of a run to `then`; empty if there is none."""
        self._later(lambda: self._store.picture(id), then)

    def whole(self, entry: HistoryEntry, then: Callable[[HistoryEntry], None]) -> None:
        """Hand the run with its record to `then`."""
        if entry.record is not None:
            then(entry)
        else:
            self._later(lambda: self._store.get(entry.id), then)

    def delete(self, ids: Sequence[str]) -> None:
        """Take runs out; until the session closes, `restore` brings them back."""
        self._deleted |= set(ids)
        self._show()
        self._later(lambda: self._store.delete(ids))

    def restore(self) -> None:
        """Bring back all that was deleted in this session."""
        ids, self._deleted = sorted(self._deleted), set()
        self._show()
        self._later(lambda: self._store.restore(ids))
        self.look()

    def close(self) -> None:
        """What was deleted is gone for good now."""
        if self._deleted:
            self._later(lambda: self._store.purge(own=True))
        self._all = [each for each in self._all if each.id not in self._deleted]
        self._deleted, self._looked_at, self._open = set(), "", False
        self._show()

    def _take(self, found: list[HistoryEntry]) -> None:
        """Show those that were found, and what this session knows besides."""
        known = {each.id: each for each in self._all}
        kept = {each.id for each in found}
        left = [each for each in self._all if each.id in self._own - kept]
        self._all = [*left, *(known.get(each.id, each) for each in found)]
        self._show()

    def _show(self) -> None:
        self._state.deleted = len(self._deleted)
        self._state.history = tuple(e for e in self._all if e.id not in self._deleted)

    def _show_picture(self, id: str, png: bytes) -> None:
        if id == self._looked_at:  # else another run was selected meanwhile
            self._state.run_picture = png

    def _later(self, do: Callable[[], Any], then: Callable[[Any], None] = lambda _: None) -> None:
        if self._open:  # a dock that is being closed may still show something
            self._runner.errand(Errand(do, then, self._on_ended))

    def _on_ended(self, ending: Ending) -> None:
        """Tell what went wrong, each sentence once: the runs go on all the same."""
        sentences = [*self._notices, ending.reason]
        self._notices.clear()
        for sentence in sentences:
            if sentence and sentence not in self._told:
                self._told.add(sentence)
                self._warn(sentence)


def _without_masks(entry: HistoryEntry) -> HistoryEntry:
    """What is known of each mask is in the case already."""
    if entry.record is None:
        return entry
    return replace(entry, record=replace(entry.record, slices=()))


def picture_of(report: RunReport, desk: Desk, entry: HistoryEntry) -> Callable[[], bytes]:
    """What draws the picture of a run on any thread: of the labels it has a copy of one slice."""
    ready, masks, request = report.ready, desk.masks, report.request
    labels = None if masks is None else masks.volume(request.snapshot.leading)
    # Image and labels may have been replaced meanwhile, which is what stopped the run.
    if ready is None or labels is None or labels.size != np.prod(ready.volume.shape):
        return lambda: b""
    planes = np.moveaxis(labels.reshape(ready.volume.shape), entry.axis, 0)
    plane = planes[entry.index].copy()
    classes = [each.label_class for each in desk.segmentation.segments]

    def draw() -> bytes:
        from napari_medsam_lite.io.overlay import small_overlay  # brings Pillow

        return small_overlay(
            ready.volume,
            plane,
            entry.index,
            request.boxes,
            axis=entry.axis,
            limits=ready.limits,
            ids=request.labels,
            classes=classes,
        )

    return draw
