"""What of a desk is not in its journal yet; it is copied a little at a time."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.core.settings import Settings
from napari_medsam_lite.gui.session.casing import case_of
from napari_medsam_lite.gui.session.desk import Desk
from napari_medsam_lite.gui.session.desk_labels import DeskLabels
from napari_medsam_lite.io.case_record import CaseRecord
from napari_medsam_lite.io.journal_records import Patch, Place

MOST_COPIED = 256
"""Slices that wait for the disk at most."""


@dataclass(frozen=True)
class Flush:
    """What is written in one go.

    Attributes
    ----------
    patches : tuple of Patch
        Slices as they are.
    case : CaseRecord or None
        None if it is as before.
    is_all : bool
        Whether the journal is up to date then.
    """

    patches: tuple[Patch, ...]
    case: CaseRecord | None
    is_all: bool


class Changes:
    """Keeps account of what is done on a desk. Main thread.

    Nothing is kept before something is done: to look at an image leaves nothing behind. Then all
    slices that are not empty are due, for the image may be opened without its labels next time.

    Parameters
    ----------
    desk : Desk
        Looked at, at each `note`.

    Attributes
    ----------
    begun : bool
        Whether anything was done since the desk was made, or since `forget`.
    version : int
        Another one after every change.
    """

    def __init__(self, desk: Desk) -> None:
        self.begun, self.version = False, 0
        self._desk, self._masks = desk, desk.masks
        self._standing = desk.standing
        self._clean = self._standing[0]
        self._dirty: set[Place] = set()
        self._known: set[Place] = set()
        self._copied: dict[Place, Patch] = {}
        self._case_is_due = self._has_lost_boxes = False

    def note(self) -> None:
        """See what has changed since the last time."""
        masks, standing = self._desk.masks, self._desk.standing
        fresh = set() if masks is None else masks.take_fresh()
        (serial, segmentation, boxes), before = standing, self._standing
        same_labels = masks is self._masks
        self._masks, self._standing = masks, standing
        is_done = bool(fresh) or serial > before[0]
        self.version += is_done
        # Of a layer that was removed, perhaps with the window, the journal keeps what it held until
        # something is done without it.
        lost = boxes is None and before[2] is not None
        self._has_lost_boxes = not is_done and (lost or self._has_lost_boxes)
        if not self.begun and (is_done or serial > self._clean):
            self.resume()
        elif self.begun:
            self._dirty |= fresh if same_labels else _places(masks)
            # By identity: they are frozen, and to compare all masks would take its time.
            changed = segmentation is not before[1] or boxes is not before[2]
            self._case_is_due |= is_done or (changed and not self._has_lost_boxes)

    def copy(self, seconds: float = float("inf")) -> bool:
        """Copy slices for so long; whether all are copied, or as much as may wait."""
        if self._masks is None:
            self._dirty.clear()
            return True
        end = time.perf_counter() + seconds
        while self._dirty and len(self._copied) < MOST_COPIED:
            if time.perf_counter() > end:
                return False
            self._copy_one(self._dirty.pop(), self._masks)
        return True

    def take(self, settings: Settings) -> Flush | None:
        """What was copied; None if nothing is due."""
        if not self._copied and not self._case_is_due:
            return None
        case = None
        if self._case_is_due:
            with suppress(MedSAMLiteError):  # an image that cannot be segmented
                case = case_of(self._desk, settings)
        flush = Flush(tuple(self._copied.values()), case, not self._dirty)
        self._copied.clear()
        self._case_is_due = False
        return flush

    def give_back(self, flush: Flush) -> None:
        """It could not be written, so it is due again, as it is by then."""
        self._dirty |= {patch.place for patch in flush.patches}
        self._case_is_due |= flush.case is not None

    def resume(self) -> None:
        """What is there is unsaved work, and nothing of it is kept."""
        self.begun = True
        self._dirty = _places(self._masks)
        self._known.clear()
        self._case_is_due = True

    def forget(self) -> None:
        """All is kept elsewhere now: only what is done from now on counts."""
        self.begun = self._case_is_due = False
        self._clean = self._standing[0]
        for places in (self._dirty, self._known, self._copied):
            places.clear()

    def _copy_one(self, place: Place, masks: DeskLabels) -> None:
        plane, held = masks.layer.data[place], masks.brush.held
        painted = None if held is None or not held[place].any() else held[place].copy()
        # A slice that is not in the journal is empty there.
        if place in self._known or painted is not None or plane.any():
            self._known.add(place)
            self._copied[place] = Patch(place, np.array(plane), painted)


def _places(masks: DeskLabels | None) -> set[Place]:
    """Of all slices."""
    if masks is None:
        return set()
    shape: Iterable[int] = masks.layer.data.shape[:-2]
    return set(np.ndindex(*shape))
