"""DICOM segmentations to labels, through highdicom."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.core.label_volume import LabelVolume, told_overlap
from napari_medsam_lite.core.labelset import Code, Color, LabelClass, color_of, in_one_line
from napari_medsam_lite.core.volume import Source
from napari_medsam_lite.io.affine import affine_from_lps, spacing_of
from napari_medsam_lite.io.guard import check_size

if TYPE_CHECKING:
    import highdicom as hd

WHAT = "a DICOM segmentation"
MAP_SUFFIX = ".labelmap.dcm"
SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
"""The SOP classes: masks, and label maps."""

_DESCRIBED = re.compile(r"label (\d{1,5}): (.*)", re.DOTALL)  # by our own writer
_LARGEST_NUMBER = 65535
_MOST_SLICES = 10_000


def read_dicom_seg(path: Path) -> LabelVolume:
    """Read the segments of a file, in their place; slices without any may be left out at the ends.

    Raises
    ------
    FileFormatError
        If the file holds no segments, or claims more than it holds.
    ValueError, LookupError, OSError, EOFError
        If it is damaged.
    """
    from napari_medsam_lite.io.dicom_attributes import parsing

    with parsing():
        segmentation = _open(path)
        volume, lost = _flatten(segmentation)
        classes = _classes(segmentation)
        data = _renumbered(volume.array, classes)
    # highdicom's order is slice, row, column.
    affine = affine_from_lps(volume.affine[:3, 2::-1], volume.affine[:3, 3])
    return LabelVolume(
        data,
        spacing_of(affine),
        affine,
        path.stem,
        Source(path),
        notes=(told_overlap(lost),) if lost else (),
        classes=tuple(classes.values()),
    )


def is_dicom_seg(path: Path) -> bool:
    """Whether the file is a segmentation; reads no more than its header."""
    from napari_medsam_lite.io.dicom_attributes import parsing, read_attributes

    with parsing():
        return read_attributes(path, ("SOPClassUID",)).text("SOPClassUID") in SEGMENTATIONS


def _open(path: Path) -> hd.seg.Segmentation:
    import highdicom as hd
    import pydicom

    from napari_medsam_lite.io.dicom_attributes import open_inflated

    with open_inflated(path) as file:
        header = pydicom.dcmread(file, stop_before_pixels=True)
        if header.get("SOPClassUID") not in SEGMENTATIONS:
            raise FileFormatError(f"{path} is a DICOM file without segments.")
        voxels = int(header.NumberOfFrames) * int(header.Rows) * int(header.Columns)
        packed = header.file_meta.TransferSyntaxUID.is_compressed
        size = voxels * int(header.BitsAllocated) // 8
        check_size(path, size, path.stat().st_size, packed=packed)
        file.seek(0)
        segmentation = hd.seg.Segmentation.from_dataset(pydicom.dcmread(file), copy=False)
    geometry = segmentation.get_volume_geometry(allow_missing_positions=True)
    if geometry is None:
        raise ValueError("its slices do not lie one behind the other at even distances")
    if geometry.spatial_shape[0] > _MOST_SLICES:
        raise ValueError(f"its slices lie so far apart that there would be over {_MOST_SLICES}")
    return segmentation


def _flatten(segmentation: hd.seg.Segmentation) -> tuple[hd.Volume, int]:
    """One volume of segment numbers, and how many voxels belong to a second segment too."""
    with suppress(RuntimeError):  # raised where they overlap
        return segmentation.get_volume(combine_segments=True), 0
    # Not while that error is handled: it holds a cursor of highdicom's own tables, and locks them.
    volume = segmentation.get_volume(combine_segments=True, skip_overlap_checks=True)
    frames = range(1, int(segmentation.NumberOfFrames) + 1)
    every = sum(int(np.count_nonzero(segmentation.get_stored_frame(n))) for n in frames)
    return volume, every - int(np.count_nonzero(volume.array))


def _renumbered(numbers: NDArray[Any], classes: dict[int, LabelClass]) -> NDArray[np.uint16]:
    table = np.zeros(max(int(numbers.max()), *classes) + 1, np.uint16)
    for number, each in classes.items():
        table[number] = each.number
    renumbered: NDArray[np.uint16] = table[numbers]
    return renumbered


def _classes(segmentation: hd.seg.Segmentation) -> dict[int, LabelClass]:
    """Segment number to class; its label is the one that our own writer noted, if it did so."""
    found = {int(n): _class(segmentation, int(n)) for n in segmentation.segment_numbers}
    labels = {each.number for each in found.values()}
    if len(labels) == len(found) and max(labels) <= _LARGEST_NUMBER:
        return found
    return {number: replace(each, number=number) for number, each in found.items()}


def _class(segmentation: hd.seg.Segmentation, number: int) -> LabelClass:
    described = segmentation.get_segment_description(number)
    name = str(described.segment_label)
    ours = _DESCRIBED.fullmatch(str(described.get("SegmentDescription", "")))
    label = int(ours[1]) if ours else int(number)
    color = _color(described.get("RecommendedDisplayCIELabValue"), label)
    return in_one_line(LabelClass(label, ours[2] if ours else name, color, _code(described)))


def _color(value: Any, number: int) -> Color:
    import highdicom as hd

    if value is None:
        return color_of(number)
    red, green, blue = hd.color.CIELabColor.from_dicom_value(value).to_rgb()
    return int(red), int(green), int(blue)


def _code(described: hd.seg.SegmentDescription) -> Code | None:
    """What the segment is; none if nothing more is said than of what kind."""
    kind = described.segmented_property_type
    category = described.segmented_property_category
    if (kind.value, kind.scheme_designator) == (category.value, category.scheme_designator):
        return None
    modifiers = kind.get("SegmentedPropertyTypeModifierCodeSequence") or [None]
    return _plain(kind, None if modifiers[0] is None else _plain(modifiers[0], None))


def _plain(item: Any, modifier: Code | None) -> Code:
    texts = (str(item.get(name, "")) for name in ("CodingSchemeDesignator", "CodeValue"))
    scheme, value = texts
    return Code(scheme, value, str(item.get("CodeMeaning", "")), modifier)
