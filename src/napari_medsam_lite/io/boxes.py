"""Boxes from the command line and from .json and .csv files: inclusive voxel corners."""

from __future__ import annotations

import csv
import json
from math import isfinite
from pathlib import Path
from typing import Any

from napari_medsam_lite.core.boxes import Box3D, WorldBox
from napari_medsam_lite.core.errors import FileFormatError, PromptError
from napari_medsam_lite.io.guard import reading

CORNERS = ("x0", "y0", "z0", "x1", "y1", "z1")
WORLD_CORNERS = tuple(f"{corner}_mm" for corner in CORNERS)


def parse_named_box(text: str) -> tuple[str, Box3D]:
    """A name and a box from ``"NAME@x0,y0,z0,x1,y1,z1"``; the name may be left out with its @.

    Raises
    ------
    PromptError
        If the text is not six whole numbers, or a second corner comes before the first.
    """
    name, _, corners = text.rpartition("@")
    try:
        return name, _box(corners.split(","))
    except ValueError as error:
        raise PromptError(f"'{text}' is no box: {error}.") from None


def read_named_boxes(path: str | Path) -> list[tuple[str, Box3D | WorldBox]]:
    """The boxes of a .json or .csv file with their names, "" where there is none.

    A .csv file has a header line with the columns x0, y0, z0, x1, y1, z1 and, if wanted, name; with
    x0_mm, y0_mm, ... instead, they are in RAS world millimetres, see `core.boxes.WorldBox`. A
    .json file is a list (or an object with a list named ``boxes``) of objects with these keys, or
    of lists of six numbers.

    Raises
    ------
    FileFormatError
        If the file is neither, or a box in it is wrong; the sentence names the box.
    """
    path = Path(path)
    readers = {".json": _json_rows, ".csv": _csv_rows}
    if path.suffix.lower() not in readers:
        raise FileFormatError(f"{path}: boxes are read from .json and .csv files only.")
    with reading(path, "a file of boxes"):
        rows = readers[path.suffix.lower()](path)
    if not rows:
        raise FileFormatError(f"{path} holds no boxes.")
    return [_named_box(row, f"{path}: box {i}") for i, row in enumerate(rows, start=1)]


def _json_rows(path: Path) -> list[Any]:
    content = json.loads(path.read_text(encoding="utf-8"))
    rows = content.get("boxes") if isinstance(content, dict) else content
    if not isinstance(rows, list):
        raise ValueError("it has no list of boxes")
    return rows


def _csv_rows(path: Path) -> list[Any]:
    # utf-8-sig: spreadsheets put a byte-order mark in front of the first column's name.
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file, skipinitialspace=True))


def _named_box(row: Any, where: str) -> tuple[str, Box3D | WorldBox]:
    name: Any = ""
    if isinstance(row, dict) and not {*WORLD_CORNERS}.isdisjoint(row):
        return str(row.get("name") or ""), _world_box(row, where)
    if isinstance(row, dict):
        missing = [corner for corner in CORNERS if row.get(corner) in (None, "")]
        if missing:
            raise FileFormatError(f"{where} has no {', '.join(missing)}.")
        name = row.get("name") or ""
        row = [row[corner] for corner in CORNERS]
    try:
        return str(name), _box(row)
    except (ValueError, TypeError) as error:
        raise FileFormatError(f"{where} is wrong: {error}.") from None


def _world_box(row: dict[str, Any], where: str) -> WorldBox:
    missing = [corner for corner in WORLD_CORNERS if row.get(corner) in (None, "")]
    if missing:
        raise FileFormatError(f"{where} has no {', '.join(missing)}.")
    try:
        corners = [float(row[corner]) for corner in WORLD_CORNERS]
    except (ValueError, TypeError):
        raise FileFormatError(f"{where} is wrong: millimetres are numbers.") from None
    if not all(map(isfinite, corners)):
        raise FileFormatError(f"{where} is wrong: millimetres are numbers.")
    return WorldBox(*corners)


def _box(values: Any) -> Box3D:
    """A box from x0, y0, z0, x1, y1, z1; ValueError says what is wrong with them."""
    if not isinstance(values, list) or len(values) != 6:
        raise ValueError(f"six whole numbers {','.join(CORNERS)} are needed")
    x0, y0, z0, x1, y1, z1 = (_whole(v) for v in values)
    if x0 > x1 or y0 > y1 or z0 > z1:
        raise ValueError("it ends before it starts; the order is " + ",".join(CORNERS))
    return Box3D(z0, y0, x0, z1, y1, x1)


def _whole(value: Any) -> int:
    try:
        number = float(value)
        if number == int(number) and not isinstance(value, bool):
            return int(number)
    except (ValueError, TypeError, OverflowError):
        pass
    raise ValueError(f"{value!r} is not a whole number")
