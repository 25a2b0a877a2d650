"""What a person does with a run of the history: go there, do it again, save it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Image

from napari_medsam_lite.core.errors import MedSAMLiteError, UnsupportedImageError
from napari_medsam_lite.core.files import replacing
from napari_medsam_lite.core.labelset import color_of
from napari_medsam_lite.core.segmentation import Segment
from napari_medsam_lite.gui.session.desks import Desks
from napari_medsam_lite.gui.session.history import SessionHistory
from napari_medsam_lite.gui.session.pictures import Pictures, What
from napari_medsam_lite.gui.session.request import Request
from napari_medsam_lite.gui.session.runs import Runs
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.gui.viewer.geometry import Plane
from napari_medsam_lite.gui.viewer.going import show_slice
from napari_medsam_lite.gui.viewer.image_layers import fingerprint_of_image
from napari_medsam_lite.io.history_entry import HistoryEntry
from napari_medsam_lite.io.runfile import RunRecord, save_run
from napari_medsam_lite.model.weights import OFFICIAL_SHA256

Told = Callable[[Callable[[], object]], None]


class HistoryActions:
    """Acts on runs of the history; images are known by their voxels, never by a name.

    Parameters
    ----------
    viewer : napari.Viewer or napari.components.ViewerModel
        Shows the slices.
    state, history, desks, runs, pictures
        Of the session.
    told : callable
        Does something later and shows an expected error as a sentence.
    """

    def __init__(
        self,
        viewer: Any,
        state: SessionState,
        history: SessionHistory,
        desks: Desks,
        runs: Runs,
        pictures: Pictures,
        told: Told,
    ) -> None:
        self._viewer, self._state, self._history = viewer, state, history
        self._desks, self._runs, self._pictures, self._told = desks, runs, pictures, told

    def fingerprint(self) -> str:
        """That of the chosen image; empty if there is none."""
        image = self._state.image
        return "" if image is None else _fingerprint(image)

    def go_to(self, entry: HistoryEntry) -> None:
        """Show the run's slice, with its segment as the current one.

        Raises
        ------
        MedSAMLiteError
            If its image is not open.
        """
        image = self._chosen(entry)
        show_slice(image, self._viewer.dims, Plane(entry.axis, entry.index))
        desk = self._desks.adopted()
        if desk.segmentation.get(entry.number) is not None:
            desk.show(replace(desk.segmentation, current=entry.number))

    def run_again(self, entry: HistoryEntry) -> None:
        """Do the run again with the same boxes and settings; raises as `go_to`."""
        self._chosen(entry)
        self._with_record(entry, lambda whole, record: self._again(whole, record))

    def save_run(self, entry: HistoryEntry, path: str | Path) -> None:
        """Write the run file of a run."""

        def save(whole: HistoryEntry, record: RunRecord) -> None:
            save_run(path, record, np.asarray(whole.affine))
            self._state.tell(f"The run was saved as {Path(path).name}.")

        self._with_record(entry, save)

    def save_picture(self, entry: HistoryEntry, path: str | Path, what: What) -> None:
        """Write the picture that was taken of the run, or many slices as they are now.

        Raises
        ------
        MedSAMLiteError
            If many slices are wanted and the run's image is not open.
        """
        if what == "slice":
            self._history.picture(entry.id, lambda png: self._told(lambda: self._write(path, png)))
            return
        self._chosen(entry)

        def draw(_: HistoryEntry, record: RunRecord) -> None:
            self._pictures.save(path, what, record)

        self._with_record(entry, draw)

    def _write(self, path: str | Path, png: bytes) -> None:
        if not png:
            raise MedSAMLiteError("There is no picture of this run.")
        with replacing(path) as temporary:
            temporary.write_bytes(png)
        self._state.tell(f"The picture was saved as {Path(path).name}.")

    def _with_record(
        self, entry: HistoryEntry, act: Callable[[HistoryEntry, RunRecord], None]
    ) -> None:
        def go_on(whole: HistoryEntry) -> None:
            if whole.record is None:
                raise MedSAMLiteError("That run never began, so nothing is known of it.")
            act(whole, whole.record)

        self._history.whole(entry, lambda whole: self._told(lambda: go_on(whole)))

    def _chosen(self, entry: HistoryEntry) -> Image:
        """The image of a run, which is the chosen one now."""
        first = [image for image in (self._state.image,) if image is not None]
        for image in (*first, *self._state.images):
            if entry.fingerprint and _fingerprint(image) == entry.fingerprint:
                self._state.image = image
                return image
        raise MedSAMLiteError(f"The image of this run is not open: {entry.image}. Open its file.")

    def _again(self, entry: HistoryEntry, record: RunRecord) -> None:
        self._check_weights(record)
        desk, snapshot = self._desks.adopted(), self._runs.snapshot()
        if snapshot.leading:
            raise MedSAMLiteError(
                "A run on an image over time is not done again: which time it was is not known."
            )
        if record.spacing is not None and record.spacing != snapshot.spacing:
            snapshot = replace(snapshot, spacing=record.spacing)
        found = desk.segmentation
        for number, title in zip(dict.fromkeys(record.ids), entry.segments, strict=False):
            if found.get(number) is None:
                found = found.put(Segment(name=title, number=number, color=color_of(number)))
        desk.show(replace(found, current=found.current or record.ids[0]))
        keep = self._state.keep_painted
        request = Request(entry.kind, snapshot, record.settings, record.boxes, record.ids, "", keep)
        self._runs.segment(request, desk)

    def _check_weights(self, record: RunRecord) -> None:
        """The dock has but the official weights, or those of this session's runs."""
        ours = {e.record.checkpoint_sha256 for e in self._state.history if e.record is not None}
        if record.checkpoint_sha256 not in {OFFICIAL_SHA256, *ours}:
            raise MedSAMLiteError(
                "That run was made with other weights; save it, and do it again with "
                "medsam-lite segment --run FILE --checkpoint FILE."
            )


def _fingerprint(image: Image) -> str:
    with suppress(UnsupportedImageError):
        return fingerprint_of_image(image)
    return ""
