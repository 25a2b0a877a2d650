"""DICOM headers: a `Slice` for each frame of a file, and nothing that tells who the patient is."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.uid import UID

from napari_medsam_lite.io.dicom_attributes import Attributes, PixelElement, read_attributes
from napari_medsam_lite.io.dicom_seg import SEGMENTATIONS
from napari_medsam_lite.io.guard import check_size

_IDENTITY = ("PatientName", "PatientID", "PatientBirthDate", "StudyDate", "AccessionNumber")
_PEOPLE = ("ReferringPhysicianName", "PerformingPhysicianName", "OperatorsName", "InstitutionName")
_SERIES = ("StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber", *_IDENTITY)
_PHASES = (
    "AcquisitionNumber",
    "TemporalPositionIdentifier",
    "EchoTime",
    "TriggerTime",
    "DiffusionBValue",
    "AcquisitionTime",
    "ImageType",
)
_FRAME_PHASES = ("TemporalPositionIndex", "EffectiveEchoTime", "DiffusionBValue", "FrameType")
_NAMES = (
    *_SERIES,
    *_PEOPLE,
    *_PHASES,
    "SOPClassUID",
    "FrameOfReferenceUID",
    "SeriesDescription",
    "Modality",
    "InstanceNumber",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "BitsAllocated",
    "BitsStored",
    "PixelRepresentation",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "PixelSpacing",
    "ImagerPixelSpacing",
    "SpacingBetweenSlices",
    "SliceThickness",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "WindowCenter",
    "WindowWidth",
    "RescaleSlope",
    "RescaleIntercept",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)


_ROUNDING = 1e-2  # of a direction: some headers have few digits
_Direction = tuple[float, ...] | None


@dataclass(frozen=True)
class Encoding:
    """How the pixels of a file are stored; `options` are those of pydicom's decoders."""

    syntax: UID
    element: PixelElement
    options: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Slice:
    """One image of a file: where its pixels are, and what its header says of them.

    Positions are those of the patient (LPS) in mm; None where the header has none. `origin` is the
    middle of the first voxel, `rows` the direction along a row of voxels, `columns` that along a
    column; `spacing` is (between rows, between columns).
    `series` tells series of one file from another, `patient` among them, and `kind` images of
    another sort within a series. `phases` may tell apart images at one place.
    """

    path: Path
    frame: int
    shape: tuple[int, int]
    encoding: Encoding
    series: Hashable
    kind: Hashable
    phases: tuple[Hashable, ...]
    modality: str
    number: int | None
    description: str
    order: float
    origin: tuple[float, ...] | None
    rows: tuple[float, ...] | None
    columns: tuple[float, ...] | None
    spacing: tuple[float, float] | None
    thickness: float | None
    slope: float
    intercept: float
    padding: tuple[float, float] | None
    window: tuple[float, float] | None


def read_slices(path: Path) -> list[Slice]:
    """The images in a file, as its header tells; none if it holds something else.

    Raises
    ------
    FileFormatError, ValueError, OSError, EOFError
        If the file is damaged, or claims more than it can hold.
    """
    header = read_attributes(path, _NAMES)
    kind = UID(header.text("SOPClassUID"))
    if kind in SEGMENTATIONS:
        return []
    if "Rows" not in header.values or header.pixels is None:
        if kind.name.endswith("Image Storage"):
            raise EOFError
        return []
    encoding = Encoding(header.syntax, header.pixels, _options(header, header.pixels))
    _check_claims(path, encoding)
    count = encoding.options["number_of_frames"]
    return [_slice(path, header, encoding, frame) for frame in range(count)]


def _options(header: Attributes, element: PixelElement) -> dict[str, Any]:
    return {
        "rows": header.whole("Rows", 0),
        "columns": header.whole("Columns", 0),
        "number_of_frames": header.whole("NumberOfFrames", 1),
        "samples_per_pixel": header.whole("SamplesPerPixel", 1),
        "photometric_interpretation": header.text("PhotometricInterpretation") or "MONOCHROME2",
        "bits_allocated": header.whole("BitsAllocated", 16),
        "bits_stored": header.whole("BitsStored", header.whole("BitsAllocated", 16)),
        "pixel_representation": header.whole("PixelRepresentation", 0),
        "planar_configuration": 0,
        "pixel_keyword": element.keyword,
        "pixel_vr": "OW",
    }


def _check_claims(path: Path, encoding: Encoding) -> None:
    options = encoding.options
    count = options["number_of_frames"] * options["rows"] * options["columns"]
    if count <= 0:
        raise ValueError("its images have no pixels")
    size = count * options["samples_per_pixel"] * options["bits_allocated"] // 8
    check_size(path, size, encoding.element.stored, packed=encoding.syntax.is_encapsulated)


def _slice(path: Path, header: Attributes, encoding: Encoding, frame: int) -> Slice:
    rows, columns = _directions(header, frame)
    position = header.numbers("ImagePositionPatient", frame, 3)
    placed = rows is not None and position is not None
    shape = encoding.options["rows"], encoding.options["columns"]
    slope = header.number("RescaleSlope", frame)
    number = header.text("SeriesNumber")
    return Slice(
        path=path,
        frame=frame,
        shape=shape,
        encoding=encoding,
        # Python salts the hash of text in each process: nobody is known by it afterwards.
        series=hash(tuple(map(header.text, _SERIES))),
        kind=_kind(header, frame, shape),
        phases=_phases(header, frame),
        modality=header.text("Modality"),
        number=int(number) if number else None,
        description=_description(header),
        order=header.whole("InstanceNumber", 0) + frame,
        origin=position if placed else None,
        rows=rows if placed else None,
        columns=columns if placed else None,
        spacing=_spacing(header, frame),
        thickness=_thickness(header, frame),
        slope=1.0 if slope is None else slope,
        intercept=header.number("RescaleIntercept", frame) or 0.0,
        padding=_padding(header),
        window=_window(header, frame),
    )


def _kind(header: Attributes, frame: int, shape: tuple[int, int]) -> Hashable:
    return (
        shape,
        header.text("Modality"),
        header.text("FrameOfReferenceUID"),
        "LOCALIZER" in header.text("ImageType").upper(),
        str(header.value("StackID", frame)),
    )


def _phases(header: Attributes, frame: int) -> tuple[Hashable, ...]:
    of_file = map(header.text, _PHASES)
    return (*of_file, *(str(header.value(name, frame)) for name in _FRAME_PHASES))


def _description(header: Attributes) -> str:
    """The series description without the words that tell who was scanned, where, when, by whom."""
    known = {
        word
        for name in (*_IDENTITY, *_PEOPLE)
        for word in re.split(r"[\W_]+", header.text(name).lower())
        if len(word) > 1
    }
    words = header.text("SeriesDescription").split()
    kept = [word for word in words if not known & set(re.split(r"[\W_]+", word.lower()))]
    return " ".join(word for word in kept if not re.search(r"\d{5}|\^", word))


def _directions(header: Attributes, frame: int) -> tuple[_Direction, _Direction]:
    """Unit vectors along rows and along columns."""
    values = header.numbers("ImageOrientationPatient", frame, 6)
    if values is None:
        return None, None
    rows, columns = values[:3], values[3:]
    lengths = math.hypot(*rows), math.hypot(*columns)
    across = sum(a * b for a, b in zip(rows, columns, strict=True))
    if max(abs(across), *(abs(length - 1) for length in lengths)) > _ROUNDING:
        raise ValueError("its directions of rows and columns are not at right angles")
    return rows, columns


def _spacing(header: Attributes, frame: int) -> tuple[float, float] | None:
    for name in ("PixelSpacing", "ImagerPixelSpacing"):
        values = header.numbers(name, frame, 2)
        if values is not None and min(values) > 0:
            return values[0], values[1]
    return None


def _thickness(header: Attributes, frame: int) -> float | None:
    for name in ("SpacingBetweenSlices", "SliceThickness"):
        value = header.number(name, frame)
        if value:
            return abs(value)
    return None


def _padding(header: Attributes) -> tuple[float, float] | None:
    """The stored values, from the least to the most, of what is no measurement."""
    value = header.number("PixelPaddingValue", 0)
    if value is None:
        return None
    limit = header.number("PixelPaddingRangeLimit", 0)
    ends = value, value if limit is None else limit
    return min(ends), max(ends)


def _window(header: Attributes, frame: int) -> tuple[float, float] | None:
    """(level, width), the first if there are several."""
    level, width = header.number("WindowCenter", frame), header.number("WindowWidth", frame)
    return None if level is None or width is None or width <= 0 else (level, width)
