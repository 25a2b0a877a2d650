"""Segmentations of 3D Slicer (``.seg.nrrd``): a NRRD file of labels whose header names them."""

from __future__ import annotations

import gzip
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.case import Case
from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.core.label_volume import LabelVolume, classes_in, told_overlap
from napari_medsam_lite.core.labelset import Code, LabelClass, color_of, in_one_line
from napari_medsam_lite.core.volume import Source
from napari_medsam_lite.io.affine import affine_to_lps, check_affine, spacing_of
from napari_medsam_lite.io.nrrd import nrrd_affine
from napari_medsam_lite.io.nrrd_arrays import read_nrrd_arrays

WHAT = "a segmentation of 3D Slicer"
SUFFIX = ".seg.nrrd"
_TYPES = {1: "unsigned char", 2: "unsigned short"}
_ANATOMY = "SCT^123037004^Anatomical Structure"
_UNKNOWN = "SCT^85756007^Tissue"
_CONTEXT = "Segmentation category and type - 3D Slicer General Anatomy list"
_REGIONS = "Anatomic codes - DICOM master list"
_ENTRY = "TerminologyEntry:"
_UNESCAPED = {"\\\\": "\\", "\\n": " "}
_LARGEST_NUMBER = 65535
_HEAD = """\
NRRD0004
# Complete NRRD file format specification at:
# http://teem.sourceforge.net/nrrd/format.html
type: {type}
dimension: 3
space: left-posterior-superior
sizes: {sizes}
space directions: {directions}
kinds: domain domain domain
endian: little
encoding: gzip
space origin: {origin}
"""


@dataclass(frozen=True)
class _Segment:
    """A class, whose number is the voxels' value in its layer."""

    layer: int
    stands_for: LabelClass


def read_seg_nrrd(path: Path) -> LabelVolume:
    """Read the segments of a file, also of several layers; a NRRD file of labels has plain names.

    Raises
    ------
    FileFormatError, ValueError, LookupError, OSError, EOFError
        If the file is damaged, holds no labels, or claims more than it holds.
    """
    header, voxels = read_nrrd_arrays(path)
    if voxels.dtype.kind not in "iu" or voxels.ndim not in (3, 4):
        raise FileFormatError(
            f"{path} holds {voxels.ndim}-dimensional {voxels.dtype} voxels, not labels."
        )
    affine, told = nrrd_affine(header)
    check_affine(affine, path)
    layers = voxels if voxels.ndim == 4 else voxels[..., np.newaxis]
    data, classes, notes = _flatten(layers, _segments(header))
    name = path.name[: -len(SUFFIX)] if path.name.lower().endswith(SUFFIX) else path.stem
    return LabelVolume(
        data,
        spacing_of(affine),
        affine,
        name,
        Source(path),
        notes=(*told, *notes),
        classes=classes,
    )


def write_seg_nrrd(path: Path, labels: LabelVolume, case: Case) -> None:
    """Write labels as one layer, with a segment for each class and each number that has none."""
    from scipy import ndimage

    place = affine_to_lps(case.volume.affine)
    head = _HEAD.format(
        type=_TYPES[labels.data.dtype.itemsize],
        sizes=" ".join(map(str, labels.shape[::-1])),
        directions=" ".join(map(_vector, place[:3, :3].T)),
        origin=_vector(place[:3, 3]),
    )
    named = {each.number: each for each in (*classes_in(labels.data, ()), *labels.classes)}
    fields = {
        "Segmentation_ContainedRepresentationNames": "Binary labelmap|",
        "Segmentation_MasterRepresentation": "Binary labelmap",
        "Segmentation_SourceRepresentation": "Binary labelmap",
        "Segmentation_ReferenceImageExtentOffset": "0 0 0",
    }
    extents = ndimage.find_objects(labels.data, max_label=max(named, default=0))
    for index, number in enumerate(sorted(named)):
        fields |= _fields(f"Segment{index}_", named[number], extents[number - 1])
    lines = "".join(f"{key}:={value}\n" for key, value in fields.items())
    voxels = np.ascontiguousarray(labels.data, labels.data.dtype.newbyteorder("<"))
    with path.open("wb") as file:
        file.write(f"{head}{lines}\n".encode())
        with gzip.GzipFile("", "wb", compresslevel=3, fileobj=file, mtime=0) as packed:
            packed.write(voxels.data)


def _flatten(
    layers: NDArray[Any], segments: Sequence[_Segment]
) -> tuple[NDArray[Any], tuple[LabelClass, ...], tuple[str, ...]]:
    """One volume (Z, Y, X) of the layers (Z, Y, X, L), which may overlap."""
    if layers.shape[-1] == 1:
        return layers[..., 0], tuple(each.stands_for for each in segments), ()
    numbers = [each.stands_for.number for each in segments]
    if len(set(numbers)) < len(numbers):  # each layer counts for itself
        numbers = list(range(1, len(segments) + 1))
    flat = np.zeros(layers.shape[:3], np.uint16)
    lost = 0
    for number, each in zip(numbers, segments, strict=True):
        mask = layers[..., each.layer] == each.stands_for.number
        lost += int(np.count_nonzero(flat[mask]))
        flat[mask] = number
    classes = tuple(
        replace(each.stands_for, number=number)
        for number, each in zip(numbers, segments, strict=True)
    )
    return flat, classes, (told_overlap(lost),) if lost else ()


def _segments(header: dict[str, Any]) -> list[_Segment]:
    """The segments that the header tells of, in their order."""
    indices = sorted(
        int(found[1]) for key in header if (found := re.fullmatch(r"Segment(\d{1,6})_ID", key))
    )
    return [_segment(header, f"Segment{index}_", index) for index in indices]


def _segment(header: dict[str, Any], prefix: str, index: int) -> _Segment:
    number = int(header.get(f"{prefix}LabelValue", index + 1))
    if not 1 <= number <= _LARGEST_NUMBER:
        raise ValueError(f"a segment has the label {number}")
    color = color_of(number)
    if f"{prefix}Color" in header:
        parts = [float(part) for part in str(header[f"{prefix}Color"]).split()]
        red, green, blue = (min(max(round(part * 255), 0), 255) for part in parts)
        color = (red, green, blue)
    name = re.sub(r"\\[\\n]", lambda m: _UNESCAPED[m[0]], str(header.get(f"{prefix}Name", "")))
    code = _code(str(header.get(f"{prefix}Tags", "")))
    layer = int(header.get(f"{prefix}Layer", 0))
    return _Segment(layer, in_one_line(LabelClass(number, name, color, code)))


def _code(tags: str) -> Code | None:
    """The type of the terminology entry: its second term, narrowed down by the third."""
    entry = next((tag for tag in tags.split("|") if tag.startswith(_ENTRY)), "")
    terms = [term.split("^") for term in entry.removeprefix(_ENTRY).split("~")[1:4]]
    if len(terms) < 3 or any(len(term) != 3 for term in terms):
        return None
    category, kind, modifier = (Code(scheme, value, name) for scheme, value, name in terms)
    if not kind.value or kind == category:  # "tissue" is said of all that nobody has named
        return None
    return replace(kind, modifier=modifier if modifier.value else None)


def _fields(prefix: str, each: LabelClass, extent: Any) -> dict[str, str]:
    spans = [(part.start, part.stop - 1) for part in extent[::-1]] if extent else [(0, -1)] * 3
    values = {
        "ID": f"Segment_{each.number}",
        "Name": each.name.replace("\\", "\\\\"),
        "NameAutoGenerated": "0",
        "Color": " ".join(f"{part / 255:.6f}" for part in each.color),
        "ColorAutoGenerated": "0",
        "LabelValue": str(each.number),
        "Layer": "0",
        "Extent": " ".join(f"{low} {high}" for low, high in spans),
        "Tags": f"{_ENTRY}{_CONTEXT}~{_terms(each.code)}~{_REGIONS}~^^~^^|",
    }
    return {f"{prefix}{key}": value for key, value in values.items()}


def _terms(code: Code | None) -> str:
    """Category, type and modifier."""
    if code is None:
        return f"{_UNKNOWN}~{_UNKNOWN}~^^"
    return f"{_ANATOMY}~{_term(code)}~{_term(code.modifier)}"


def _term(code: Code | None) -> str:
    parts = ("", "", "") if code is None else (code.scheme, code.value, code.meaning)
    return "^".join(re.sub(r"[\^~|\\\s]+", " ", part).strip() for part in parts)


def _vector(values: NDArray[np.float64]) -> str:
    return "(" + ",".join(repr(float(value)) for value in values) + ")"
