"""Unsaved work back on a desk."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.gui.session.casing import put_on_desk
from napari_medsam_lite.gui.session.desk import Desk
from napari_medsam_lite.io.case_json import case_from_json
from napari_medsam_lite.io.journal import Recovered


def put_back(
    work: Recovered, labels: NDArray[Any], painted: NDArray[np.bool_] | None, desk: Desk
) -> None:
    """Make the desk what the journal holds, by one edit that can be undone.

    Parameters
    ----------
    work : Recovered
        Of the desk's image: found by its fingerprint.
    labels, painted : ndarray
        Of `work`, read on another thread.
    desk : Desk
        With both layers.

    Raises
    ------
    MedSAMLiteError
        If the case is of a newer version, or does not fit the image.
    """
    masks = desk.masks
    assert masks is not None
    case = case_from_json(work.case, "What is known of the unsaved work")
    volumes = {
        leading: labels[leading]
        for leading in masks.volumes()
        if labels[leading].any() or masks.volume(leading).any()
    }
    put_on_desk(replace(case, painted=None), desk, volumes, "the restored work")
    if painted is not None:
        for leading in volumes:
            masks.brush.hold(painted[leading], leading)


def segments_in(work: Recovered) -> str:
    """How many segments there are, in words."""
    count = len(work.case.get("segments", ()))
    return "1 segment" if count == 1 else f"{count} segments"
