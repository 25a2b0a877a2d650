"""What a case file holds: all that a person did to one image."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.asked import Asked
from napari_medsam_lite.core.boxes import KeyBox
from napari_medsam_lite.core.segmentation import Segmentation
from napari_medsam_lite.core.settings import Settings
from napari_medsam_lite.io.runfile import versions_in_use


@dataclass(frozen=True)
class FileReference:
    """A file that belongs to a case.

    Attributes
    ----------
    path : str
        From the case file's folder to it, with ``/``; empty if it is in no file.
    fingerprint : str
        What tells whether it is the same; empty if it is not known.
    """

    path: str = ""
    fingerprint: str = ""

    def beside(self, case: str | Path) -> Path:
        """Where the file is that a case file at `case` means."""
        return Path(os.path.normpath(Path(case).parent / self.path))


@dataclass(frozen=True)
class CaseRecord:
    """All that a person did to one image.

    Attributes
    ----------
    image : FileReference
        Its fingerprint is that of the voxels, see `core.volume.fingerprint_of`.
    shape : tuple of int or None
        (Z, Y, X) of its volume; None if it is not known.
    spacing : tuple of float or None
        Voxel size (z, y, x) in mm that it was segmented with; None means the file's.
    segmentation : Segmentation
        Its segments have no boxes of their own: those are `boxes`.
    boxes : tuple of KeyBox
        As drawn.
    settings : Settings
        As chosen last.
    labels : FileReference
        Its fingerprint is `labels_fingerprint`.
    leading : tuple of int
        The volume that `labels` are of, in an image of more than three dimensions.
    painted : ndarray or None
        (Z, Y, X) bool, the voxels of `labels` that no network made.
    history : tuple of dict
        Rows of the history, as that writes them.
    versions : dict
        Package -> version.
    """

    image: FileReference
    shape: tuple[int, int, int] | None
    spacing: tuple[float, float, float] | None
    segmentation: Segmentation
    boxes: tuple[KeyBox, ...] = ()
    settings: Settings = field(default_factory=Settings)
    labels: FileReference = field(default_factory=FileReference)
    leading: tuple[int, ...] = ()
    painted: NDArray[np.bool_] | None = field(default=None, compare=False)
    history: tuple[dict[str, Any], ...] = ()
    versions: dict[str, str] = field(default_factory=versions_in_use)

    @property
    def asked(self) -> tuple[Asked, ...]:
        """What the network painted into the volume of `labels`."""
        return tuple(a for a in self.segmentation.asked if a.leading in (self.leading, ()))

    @property
    def with_boxes(self) -> Segmentation:
        """The segments with their boxes on the volume of `labels`."""
        found = self.segmentation
        for segment in found.segments:
            own = [b for b in self.boxes if b.number == segment.number]
            boxes = tuple(b.box for b in own if b.leading == self.leading)
            found = found.put(replace(segment, boxes=boxes))
        return found
