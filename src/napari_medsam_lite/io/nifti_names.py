"""Names and colours in a NIfTI file: the header extension of Connectome Workbench.

TotalSegmentator writes and reads it too, as an extension of the code 0, which stands for "unknown".
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from xml.etree import ElementTree

from napari_medsam_lite.core.labelset import LabelClass, in_one_line

NAMES_CODE = 0
_WORKBENCH_CODE = 30
_MARK = b"<CaretExtension"
_LARGEST_NUMBER = 65535


def classes_to_extension(classes: Iterable[LabelClass]) -> bytes:
    """The XML of a label table.

    Background is in it too: readers that take a single label for no list need a second one.
    """
    root = ElementTree.Element("CaretExtension")
    volume = ElementTree.SubElement(root, "VolumeInformation", Index="0")
    table = ElementTree.SubElement(volume, "LabelTable")
    _add_label(table, LabelClass(0, "background", (0, 0, 0)), alpha="0")
    for each in classes:
        _add_label(table, each, alpha="1")
    ElementTree.SubElement(volume, "StudyMetaDataLinkSet")
    ElementTree.SubElement(volume, "VolumeType").text = "Label"
    content: bytes = ElementTree.tostring(root, encoding="UTF-8", xml_declaration=True)
    return content


def classes_from_extensions(block: bytes) -> tuple[LabelClass, ...]:
    """The classes of the label table among the extensions of a file; none if there is none.

    A damaged table names nothing: the labels themselves are whole.

    Parameters
    ----------
    block : bytes
        All between header and voxels: four bytes, then size, code and content of each extension.
    """
    for code, content in _contents(block):
        # Without a document type there are no entities, which could expand to any size.
        if code not in (NAMES_CODE, _WORKBENCH_CODE) or b"<!DOCTYPE" in content:
            continue
        if _MARK in content:
            try:
                return _classes(content.rstrip(b"\0 \n"))
            except (ElementTree.ParseError, ValueError, LookupError, TypeError):
                return ()
    return ()


def _contents(block: bytes) -> Iterator[tuple[int, bytes]]:
    place = 4
    while block[:1] not in (b"", b"\0") and place + 8 <= len(block):
        for order in "<>":
            size, code = struct.unpack_from(f"{order}2i", block, place)
            if 8 <= size <= len(block) - place:
                break
        else:
            return
        yield code, block[place + 8 : place + size]
        place += size


def _add_label(table: ElementTree.Element, each: LabelClass, alpha: str) -> None:
    parts = zip(("Red", "Green", "Blue"), each.color, strict=True)
    color = {name: f"{part / 255:.6f}" for name, part in parts}
    values = {"Key": str(each.number), **color, "Alpha": alpha}
    label = ElementTree.SubElement(table, "Label", values)
    label.text = each.name


def _classes(content: bytes) -> tuple[LabelClass, ...]:
    found: dict[int, LabelClass] = {}
    for label in ElementTree.fromstring(content).iter("Label"):
        number = int(label.attrib["Key"])
        if 0 < number <= _LARGEST_NUMBER:
            parts = (float(label.attrib[name]) for name in ("Red", "Green", "Blue"))
            red, green, blue = (min(max(round(part * 255), 0), 255) for part in parts)
            found[number] = in_one_line(LabelClass(number, label.text or "", (red, green, blue)))
    return tuple(found.values())
