"""One desk and its place in the folder of unsaved work."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from napari.layers import Image

from napari_medsam_lite.core.settings import Settings
from napari_medsam_lite.gui.session.changes import Changes, Flush
from napari_medsam_lite.gui.session.desk import Desk
from napari_medsam_lite.gui.thread.filer import Filer
from napari_medsam_lite.gui.thread.worker import failure
from napari_medsam_lite.gui.viewer.geometry import finest
from napari_medsam_lite.gui.viewer.image_layers import fingerprint_of_image
from napari_medsam_lite.io.autosaved import Workplace, discard, open_workplace
from napari_medsam_lite.io.case_json import case_to_json
from napari_medsam_lite.io.case_record import FileReference
from napari_medsam_lite.io.claims import Holder
from napari_medsam_lite.io.journal import JournalLostError, Recovered

COPY_S = 0.004
"""So long slices are copied in one go at most, for a person is drawing."""
RETRY_S = 10.0
REFRESH_S = 60.0


@dataclass(frozen=True)
class Opened:
    """An image's place in the folder of unsaved work. For the thread that touches files."""

    fingerprint: str
    place: Workplace

    @classmethod
    def of(cls, image: Image) -> Opened:
        """Look for an image, and claim a place for this window."""
        fingerprint = fingerprint_of_image(image)
        shape = tuple(finest(image).shape[: image.ndim])
        return cls(fingerprint, open_workplace(fingerprint, shape))

    def write(self, flush: Flush, restored: Iterable[Recovered]) -> None:
        """Add to the journal; then what was `restored` is in there."""
        case = flush.case
        if case is not None:
            case = replace(case, image=FileReference(fingerprint=self.fingerprint))
        self.place.journal.append(flush.patches, None if case is None else case_to_json(case))
        for work in restored:
            discard(work)


class KeptDesk:
    """Hands over what changes on a desk, and hears how that went. Main thread.

    Parameters
    ----------
    desk : Desk
        Of an image.
    filer : Filer
        Does all that touches files.
    settings : callable
        The choices as they are now.
    tell : callable
        Is told in a sentence that work cannot be kept, or can be again; and whether it cannot.

    Attributes
    ----------
    changes : Changes
        What is not in the journal yet.
    left : list of Recovered
        What earlier windows left of this image, the latest first.
    others : tuple of Holder
        Who has this image open besides.
    """

    def __init__(
        self,
        desk: Desk,
        filer: Filer,
        settings: Callable[[], Settings],
        tell: Callable[[str, bool], None],
    ) -> None:
        self.desk, self.changes = desk, Changes(desk)
        self.left: list[Recovered] = []
        self.others: tuple[Holder, ...] = ()
        self._filer, self._settings, self._tell = filer, settings, tell
        self._job: _Job | None = None
        self._restored: list[Recovered] = []
        self._is_failing, self._rests_until = False, 0.0
        self._open()

    def tick(self) -> bool:
        """Hear what was done, and hand over what changed; whether to come again soon."""
        self.changes.note()
        if not self._hears():
            return not self._is_open
        now = time.monotonic()
        if now < self._rests_until:
            return False
        if not self._is_open:
            self._open()
        elif not self.changes.copy(COPY_S):
            return True
        elif (flush := self.changes.take(self._settings())) is not None:
            self._write(flush)
        elif now > self._looked + REFRESH_S:
            self._look()
        return False

    def saved(self, version: int) -> None:
        """What was there at a version is in a file: if that is all, nothing needs to be kept."""
        self.changes.note()
        if self.changes.version == version:
            self.forget()

    def forget(self) -> None:
        """Remove the journal; it begins anew with the next change."""
        self.changes.forget()
        opening = self._opening
        self._filer.do(lambda: opening.result().place.journal.discard())

    def drop(self, work: Recovered, is_restored: bool) -> None:
        """Offer `work` no more. What is restored goes once it is in this window's journal."""
        self.left.remove(work)
        if is_restored:
            self._restored.append(work)
        else:
            self._filer.do(lambda: discard(work))

    def close(self, keep: bool = True) -> None:
        """Let go of the image, having handed over all that is left, unless it is not to be kept."""
        if keep:
            self.changes.note()
            flushes = iter(self._last_flush, None)
            for flush in flushes:
                self._write(flush)
        opening = self._opening
        self._filer.do(lambda: opening.result().place.close())

    def _last_flush(self) -> Flush | None:
        self.changes.copy()
        return self.changes.take(self._settings())

    def _open(self) -> None:
        image, self._is_open = self.desk.image, False
        self._opening = self._filer.do(lambda: Opened.of(image))
        self._job = _Job(self._opening, self._on_opened)

    def _on_opened(self, opened: Opened) -> None:
        self._is_open = True
        self.left = list(opened.place.left)
        self._look()

    def _look(self) -> None:
        """See who else is there, and that this window's claim is still its own."""
        self._looked, opening = time.monotonic(), self._opening

        def look() -> tuple[bool, tuple[Holder, ...]]:
            place = opening.result().place
            return place.claim.refresh(), place.others()

        self._job = _Job(self._filer.do(look), self._on_looked)

    def _on_looked(self, found: tuple[bool, tuple[Holder, ...]]) -> None:
        is_ours, self.others = found
        if not is_ours:  # this computer slept for long, or somebody removed the folder
            self.changes.all_is_due()
            self._open()

    def _write(self, flush: Flush) -> None:
        opening, restored = self._opening, self._restored if flush.is_all else []
        self._restored = [] if flush.is_all else self._restored

        def on_failed(error: BaseException) -> None:
            self._restored += restored
            if isinstance(error, JournalLostError):
                self.changes.all_is_due()
            self.changes.give_back(flush)

        work = self._filer.do(lambda: opening.result().write(flush, restored))
        self._job = _Job(work, self._on_written, on_failed)

    def _on_written(self, _: None) -> None:
        if self._is_failing:
            self._is_failing = False
            self._tell("What is done is kept by autosave again.", False)

    def _hears(self) -> bool:
        """Whether nothing is on its way; what has come is dealt with."""
        job = self._job
        if job is None:
            return True
        if not job.future.done():
            return False
        self._job = None
        error = job.future.exception()
        if error is None:
            job.then(job.future.result())
            return self._job is None
        job.failed(error)
        self._rests_until = time.monotonic() + RETRY_S
        if not self._is_failing:
            self._is_failing = True
            reason = failure(error).reason
            self._tell(f"Autosave cannot keep this work, and tries again: {reason}", True)
        return True


@dataclass(frozen=True)
class _Job:
    """What is on its way, and what follows."""

    future: Future[Any]
    then: Callable[[Any], None]
    failed: Callable[[BaseException], None] = lambda _: None
