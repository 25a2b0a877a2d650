"""What `io.formats` knows of one kind of file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from napari_medsam_lite.core.case import Case
from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.core.label_volume import LabelVolume


@dataclass(frozen=True)
class Format:
    """How one kind of file is read and written.

    The functions may let the errors of their libraries pass: `io.guard.reading` and
    `core.files.replacing` are round every call.

    Parameters
    ----------
    suffixes : tuple of str
        In small letters; a longer one before one that it ends with.
    what : str
        What such a file is, for messages: "a NIfTI image".
    read : callable, optional
        Path to the image, with the boxes and the truth that the file carries; None if such files
        hold labels only.
    read_labels : callable
        Path to the labels, with the classes that the file itself names.
    write : callable, optional
        (path, labels, case): labels uint8 or uint16 on the voxels of ``case.volume``, with their
        classes and ``case.gts`` where the format can keep them. None if labels are not written so.
    is_ours : callable
        Path to whether the file holds what we read; looks at no more than a header.
    holds_labels : callable
        Path to whether the file holds labels and no image; looks at no more than a header.
    keeps_place : bool
        Whether the file says where in the body its voxels lie.
    keeps_codes : bool
        Whether the file itself keeps all of a class; if not, a label set is written beside it.
    in_folders : bool
        Whether a folder is such an image too, and files may have any name. ``read`` then takes
        which series to read, and what to call with (slices done, slices in all).
    labels : str
        What such a file keeps of labels, for lists of formats; empty if labels are not written so.
    """

    suffixes: tuple[str, ...]
    what: str
    read: Callable[..., Case] | None
    read_labels: Callable[[Path], LabelVolume]
    write: Callable[[Path, LabelVolume, Case], None] | None
    is_ours: Callable[[Path], bool]
    holds_labels: Callable[[Path], bool]
    keeps_place: bool = True
    keeps_codes: bool = True
    in_folders: bool = False
    labels: str = ""


def image_only(suffix: str, what: str, read: Callable[[Path], Case]) -> Format:
    """A format in which whole numbers alone do not say that they are labels."""

    def read_labels(path: Path) -> LabelVolume:
        volume = read(path).volume
        if volume.data.dtype.kind not in "iu":
            raise FileFormatError(f"{path} holds {volume.data.dtype} voxels, not labels.")
        return LabelVolume.of(volume)

    return Format((suffix,), what, read, read_labels, None, lambda path: True, lambda path: False)
