"""Autosave: unsaved work is kept beside the session, and offered when the image is opened again."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from napari.layers import Layer
from numpy.typing import NDArray
from qtpy.QtCore import QTimer

from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.core.settings import Settings
from napari_medsam_lite.gui.session.desk import Desk
from napari_medsam_lite.gui.session.desks import Desks
from napari_medsam_lite.gui.session.kept_desk import KeptDesk
from napari_medsam_lite.gui.session.restoring import put_back, segments_in
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.gui.thread.filer import Filer, shared_filer
from napari_medsam_lite.gui.thread.worker import failure
from napari_medsam_lite.io.autosaved import tidy
from napari_medsam_lite.io.claims import Holder
from napari_medsam_lite.io.journal import Recovered

TICK_MS = 400
SOON_MS = 20


@dataclass(frozen=True)
class _Reading:
    """Work that is read from its journal, to be put back."""

    kept: KeptDesk
    work: Recovered
    arrays: Future[tuple[NDArray[Any], NDArray[np.bool_] | None]]


class Autosave:
    """Looks after the desks, several times in two seconds. Main thread.

    Parameters
    ----------
    state : SessionState
        Holds the setting, and shows what is offered.
    desks : Desks
        What is looked after.
    settings : callable
        The choices as they are now.
    filer : Filer, optional
        Does all that touches files; default the one that all docks share.
    """

    def __init__(
        self,
        state: SessionState,
        desks: Desks,
        settings: Callable[[], Settings],
        filer: Filer | None = None,
    ) -> None:
        self._state, self._desks, self._settings = state, desks, settings
        self._filer = filer or shared_filer()
        self._kept: dict[Desk, KeptDesk] = {}
        self._reading: _Reading | None = None
        self._tick_number, self._open = 0, False
        state.events.autosave.connect(self._on_setting)
        state.events.image.connect(self._soon)

    def open(self) -> None:
        """Begin to look after the desks."""
        self._open = True
        self._filer.join()
        self._filer.do(tidy)
        self._soon()

    def close(self) -> None:
        """Hand over what is left; it stays for the next window."""
        self._open, self._reading = False, None
        there = self._desks.all
        for desk, kept in self._kept.items():
            kept.close(keep=desk in there)
        self._kept.clear()
        self._show()
        self._filer.leave()

    def on_removed(self, layer: Layer) -> None:
        """A layer is about to leave its desk, perhaps because the window is closed."""
        for kept in self._kept.values():
            if kept.concerns(layer):
                kept.hand_over()

    def saving(self, desk: Desk) -> Callable[[], None]:
        """The labels of `desk` are about to be saved; to be called when that is done."""
        kept = self._kept.get(desk)
        if kept is None or (desk.masks is not None and len(list(desk.masks.volumes())) > 1):
            return lambda: None  # of several volumes, a file holds one
        kept.changes.note()
        version = kept.changes.version
        return lambda: kept.saved(version)

    def restore(self) -> None:
        """Put the work that is offered back on its desk, once it is read.

        Raises
        ------
        MedSAMLiteError
            If nothing is offered.
        """
        kept, work = self._offered()
        read = self._filer.do(lambda: (work.labels(), work.painted()))
        self._reading = _Reading(kept, work, read)
        self._state.tell("Restoring...")
        self._soon()

    def discard(self) -> None:
        """Remove the work that is offered, for good; errors as `restore`."""
        kept, work = self._offered()
        kept.drop(work, is_restored=False)
        self._show()

    def _offered(self) -> tuple[KeptDesk, Recovered]:
        kept = self._chosen
        if kept is None or not kept.left or self._reading is not None:
            raise MedSAMLiteError("There is no unsaved work to restore.")
        return kept, kept.left[0]

    @property
    def _chosen(self) -> KeptDesk | None:
        image = self._state.image
        return next((k for k in self._kept.values() if k.desk.image == image), None)

    def _on_setting(self, is_on: bool) -> None:
        if not is_on:
            for kept in self._kept.values():
                kept.forget()
                kept.close(keep=False)
            self._kept.clear()
            self._reading = None
            self._show()
        self._soon()

    def _soon(self, *_: object) -> None:
        self._wait(SOON_MS)

    def _wait(self, milliseconds: int) -> None:
        self._tick_number += 1
        number = self._tick_number
        # Single shots, so that no timer outlives Qt.
        QTimer.singleShot(milliseconds, lambda: self._tick(number))

    def _tick(self, number: int) -> None:
        if not self._open or number != self._tick_number:
            return
        soon = self._state.autosave and self._look_after()
        if number == self._tick_number:
            self._wait(SOON_MS if soon else TICK_MS)

    def _look_after(self) -> bool:
        """Whether to look again soon."""
        there = self._desks.all
        for desk in self._kept.keys() - set(there):
            # Its layers are gone, so there is nothing to copy from.
            self._kept.pop(desk).close(keep=False)
        for desk in there:
            if desk not in self._kept:
                self._kept[desk] = KeptDesk(desk, self._filer, self._settings, self._state.tell)
        ticks = [kept.tick() for kept in self._kept.values()]
        self._put_back()
        self._show()
        return any(ticks) or self._reading is not None

    def _put_back(self) -> None:
        reading = self._reading
        if reading is None or not reading.arrays.done() or self._state.busy:
            return
        self._reading = None
        kept, work = reading.kept, reading.work
        if kept.desk not in self._kept:
            return
        if work not in kept.left:  # the labels were compared meanwhile, and are the same
            self._state.tell("What was unsaved is there already.")
            return
        try:
            self._desks.labelled(kept.desk)
            self._desks.layers.boxes_made(kept.desk.image)
            put_back(work, *reading.arrays.result(), kept.desk)
        except Exception as error:
            self._state.tell(failure(error).reason, problem=True)
            return
        kept.drop(work, is_restored=True)
        self._desks.tell_undo()
        count = segments_in(work)
        self._state.tell(f"{count} of {told_when(work.when)} restored; Undo takes that back.")

    def _show(self) -> None:
        kept = self._chosen
        self._state.unsaved = "" if kept is None or not kept.left else offer(kept)
        self._state.elsewhere = "" if kept is None else told_others(kept.others)


def offer(kept: KeptDesk) -> str:
    """What is said of the work that was left of an image."""
    work = kept.left[0]
    told = f"Unsaved work of {told_when(work.when)} on this image: {segments_in(work)}."
    desk = kept.desk
    is_empty = desk.boxes is None or not len(desk.boxes.data)
    if is_empty and not any(desk.size_of(s.number)[0] for s in desk.segmentation.segments):
        return told
    return f"{told} Restoring it replaces what is here; Undo brings that back."


def told_when(when: datetime) -> str:
    """The hour, and of another day the day too."""
    is_today = when.date() == datetime.now(when.tzinfo).date()
    return f"{when:%H:%M}" if is_today else f"{when.day} {when:%B, %H:%M}"


def told_others(others: tuple[Holder, ...]) -> str:
    """Who else has an image open; empty if nobody has."""
    if not others:
        return ""
    first = others[0]
    where = f"process {first.pid}" if first.is_here else f"{first.who} on {first.host}"
    return f"Another window ({where}) has this image open; what is done here is autosaved apart."
