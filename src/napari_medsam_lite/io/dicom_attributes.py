"""The attributes of one DICOM file, checked as they are asked for; pixels stay in the file."""

from __future__ import annotations

import math
import os
import sqlite3
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import pydicom
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.multival import MultiValue
from pydicom.tag import Tag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.io.dicom_files import MAGIC, PREAMBLE

_HEAD = 4096  # enough for the file meta information
_META_LENGTH = slice(PREAMBLE + len(MAGIC) + 8, PREAMBLE + len(MAGIC) + 12)
_INFLATED_MOST = 1 << 27
# What pydicom and highdicom, which keeps frames in a table, raise for what they do not expect.
_DAMAGE = (
    BytesLengthException,
    AttributeError,
    TypeError,
    KeyError,
    AssertionError,
    struct.error,
    sqlite3.Error,
    zlib.error,
)
_DEFLATED = DeflatedExplicitVRLittleEndian.encode()
_NOT_DEFLATED = ExplicitVRLittleEndian.encode().ljust(len(_DEFLATED), b"\0")

_PIXELS = {0x7FE00008: "FloatPixelData", 0x7FE00010: "PixelData"}
_LONG_VR = (b"OB", b"OW", b"OF", b"UN")
_GROUPS = {
    "ImagePositionPatient": "PlanePositionSequence",
    "ImageOrientationPatient": "PlaneOrientationSequence",
    "PixelSpacing": "PixelMeasuresSequence",
    "SliceThickness": "PixelMeasuresSequence",
    "SpacingBetweenSlices": "PixelMeasuresSequence",
    "RescaleSlope": "PixelValueTransformationSequence",
    "RescaleIntercept": "PixelValueTransformationSequence",
    "WindowCenter": "FrameVOILUTSequence",
    "WindowWidth": "FrameVOILUTSequence",
    "TemporalPositionIndex": "FrameContentSequence",
    "StackID": "FrameContentSequence",
    "EffectiveEchoTime": "MREchoSequence",
    "DiffusionBValue": "MRDiffusionSequence",
    "FrameType": "CTImageFrameTypeSequence",
}
"""In which group of a multi-frame file each attribute lies."""


@contextmanager
def parsing() -> Iterator[None]:
    """Let pydicom say in one exception, a ValueError, what is wrong with a file.

    Its warnings are on what it then mends, or on what is told here by other means.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except InvalidDicomError as error:
            raise ValueError("it is no DICOM file") from error
        except _DAMAGE as error:
            raise ValueError("its header is damaged") from error


@dataclass(frozen=True)
class PixelElement:
    """Where the pixels are in `open_inflated`: where the element's value starts, what is behind."""

    keyword: str
    start: int
    stored: int


@dataclass(frozen=True, eq=False)
class Attributes:
    """What a file says outside its pixels: values by keyword, its transfer syntax, its pixels."""

    values: dict[str, Any]
    syntax: UID
    pixels: PixelElement | None

    def text(self, name: str) -> str:
        """The value as text; "" where there is none."""
        value = self.values.get(name)
        return "" if value is None else str(value)

    def whole(self, name: str, default: int) -> int:
        """The value as a whole number, or `default`."""
        value = self.values.get(name)
        return default if value is None or value == "" else int(value)

    def value(self, name: str, frame: int) -> Any:
        """What is said of a frame: in its own group, in the one all share, or in the file."""
        group = _GROUPS.get(name)
        if group is not None:
            own = self.values.get("PerFrameFunctionalGroupsSequence") or []
            shared = self.values.get("SharedFunctionalGroupsSequence") or []
            for item in (*own[frame : frame + 1], *shared):
                part = item.get(group)
                if part and part[0].get(name) is not None:
                    return part[0].get(name)
        return self.values.get(name)

    def number(self, name: str, frame: int) -> float | None:
        """The first, if there are several; None where there is none.

        Raises
        ------
        ValueError
            If it is no finite number.
        """
        value = self.value(name, frame)
        if isinstance(value, (list, MultiValue)):
            value = value[0] if value else None
        if value is None or value == "":
            return None
        number = float(value)
        if not math.isfinite(number):
            raise ValueError(f"{name} is {number}")
        return number

    def numbers(self, name: str, frame: int, count: int) -> tuple[float, ...] | None:
        """All of them; None where there is none.

        Raises
        ------
        ValueError
            If there are not `count` finite numbers.
        """
        value = self.value(name, frame)
        if value is None or value == "" or len(value) == 0:
            return None
        numbers = tuple(float(number) for number in value)
        if len(numbers) != count or not all(map(math.isfinite, numbers)):
            raise ValueError(f"{name} is {numbers}, not {count} numbers")
        return numbers


def read_attributes(path: Path, names: tuple[str, ...]) -> Attributes:
    """The attributes `names` of a file, as far as it has them.

    Raises
    ------
    FileFormatError, ValueError, OSError, EOFError
        If the file is damaged, or inflates to too much.
    """
    with open_inflated(path) as file:
        data = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(_tags(names)))
        syntax = data.file_meta.TransferSyntaxUID
        pixels = _pixel_element(file, syntax)
        return Attributes({e.keyword: e.value for e in data}, syntax, pixels)


@cache
def _tags(names: tuple[str, ...]) -> list[Any]:
    return [Tag(name) for name in names]


def open_inflated(path: Path) -> BinaryIO:
    """The file; if it is deflated, as it would be if it were not.

    pydicom itself would inflate all of it, however much that is.

    Raises
    ------
    FileFormatError, ValueError, OSError, EOFError
        If it does not start as a DICOM file, is cut short, or inflates to too much.
    """
    file = path.open("rb")
    head = file.read(_HEAD)
    if head[PREAMBLE : PREAMBLE + len(MAGIC)] != MAGIC:
        file.close()
        raise InvalidDicomError
    file.seek(0)
    if _DEFLATED not in head:
        return file
    with file:
        return BytesIO(_inflate(file.read(), path))


def _inflate(content: bytes, path: Path) -> bytes:
    length = int.from_bytes(content[_META_LENGTH], "little")
    start = _META_LENGTH.stop + length
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    rest = inflater.decompress(content[start:], _INFLATED_MOST)
    if inflater.unconsumed_tail:
        raise FileFormatError(
            f"{path} is deflated and holds more than {_INFLATED_MOST >> 20} MiB, which no slice "
            "does; save it uncompressed if it is what you want to open."
        )
    if not inflater.eof:
        raise EOFError
    return content[:start].replace(_DEFLATED, _NOT_DEFLATED, 1) + rest


def _pixel_element(file: BinaryIO, syntax: UID) -> PixelElement | None:
    """What stands where pydicom stopped; None at the end of a file without pixels."""
    order: Any = "little" if syntax.is_little_endian else "big"
    place, head = file.tell(), file.read(12)
    tag = int.from_bytes(head[:2], order) << 16 | int.from_bytes(head[2:4], order)
    if tag not in _PIXELS:
        return None
    if not syntax.is_implicit_VR and head[4:6] not in _LONG_VR:
        raise ValueError("its pixels are of no known kind")
    start = place + (8 if syntax.is_implicit_VR else 12)
    return PixelElement(_PIXELS[tag], start, file.seek(0, os.SEEK_END) - start)
