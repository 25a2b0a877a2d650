"""A desk as a case, to be kept; and a case back on a desk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.core.segmentation import Segmentation
from napari_medsam_lite.core.settings import Settings
from napari_medsam_lite.engine.steps import LabelArray
from napari_medsam_lite.gui.session.desk import Desk
from napari_medsam_lite.gui.session.edit import Edit
from napari_medsam_lite.gui.viewer.drawn_boxes import boxes_to_draw, key_boxes
from napari_medsam_lite.gui.viewer.geometry import held_by, snapshot_of, volume_shape
from napari_medsam_lite.io.case_record import CaseRecord, FileReference
from napari_medsam_lite.io.metadata import CASE, FINGERPRINT, KEY


def case_of(
    desk: Desk,
    settings: Settings,
    painted: NDArray[np.bool_] | None = None,
    fingerprint: str = "",
) -> CaseRecord:
    """What is on a desk, but for the voxels; where the files are is not known here.

    Parameters
    ----------
    desk : Desk
        Of an image.
    settings : Settings
        As chosen.
    painted : ndarray, optional
        See `CaseRecord`; `DeskLabels.not_computed` tells.
    fingerprint : str
        Of the image, if it is known; see `gui.viewer.image_layers.fingerprint_of_image`.
    """
    return CaseRecord(
        FileReference(fingerprint=fingerprint),
        volume_shape(desk.image),
        snapshot_of(desk.image, desk.leading).spacing,
        desk.so_far,
        () if desk.boxes is None else tuple(key_boxes(desk.boxes, desk.image)),
        settings,
        leading=desk.leading,
        painted=painted,
    )


def put_on_desk(
    case: CaseRecord, desk: Desk, volumes: Mapping[tuple[int, ...], LabelArray], what: str
) -> Edit:
    """Put a case, and the labels that belong to it, on the desk of its image; to be undone.

    Parameters
    ----------
    case : CaseRecord
        Of this image; the caller has compared the fingerprints.
    desk : Desk
        With layers of boxes and of labels.
    volumes : mapping
        See `Desk.restore`.
    what : str
        In a few words, for "... was taken back".

    Raises
    ------
    MedSAMLiteError
        If it does not fit the image.
    """
    shape = volume_shape(desk.image)
    if case.shape not in (None, shape):
        raise MedSAMLiteError(
            f"This case is of an image of shape {case.shape}, {desk.image.name} has {shape}."
        )
    edit = desk.restore(
        without_strangers(case), boxes_to_draw(case.boxes, desk.image.ndim), volumes, what
    )
    if desk.masks is not None:
        desk.masks.know_as_computed()
        if case.painted is not None:
            desk.masks.brush.hold(case.painted, case.leading)
    return edit


def leave_case(desk: Desk) -> None:
    """Let the labels carry the case, for the next dock of the same window.

    What is painted until then without a dock counts as made by the network.
    """
    if desk.labels is not None and desk.masks is not None and desk.segmentation.segments:
        held = held_by(desk.labels)
        painted = desk.masks.not_computed(desk.leading)
        case = case_of(desk, Settings(), painted, str(held.get(FINGERPRINT, "")))
        desk.labels.metadata[KEY] = {**held, CASE: case}


def without_strangers(case: CaseRecord) -> Segmentation:
    """The segments of a case, current one of them."""
    found = case.segmentation
    if found.get(found.current) is None:
        first = found.segments[0].number if found.segments else 0
        return replace(found, current=first)
    return found
