"""Label sets in files: our own JSON, CSV, Slicer's colour tables, ITK-SNAP's label files."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.core.files import replacing
from napari_medsam_lite.core.labelset import (
    Code,
    Color,
    LabelClass,
    LabelSet,
    color_of,
    in_one_line,
)
from napari_medsam_lite.io.guard import reading

WHAT = "a label set"
LARGEST_NUMBER = 65535
_MOST_BYTES = 8 << 20
_SLICER_HEAD = "# Color table file"
_SLICER_LINE = re.compile(r"(\d+)\s+(\S+)\s+(\d+)\s+(\d+)\s+(\d+)(?:\s+\d+)?")
_ITK_SNAP_LINE = re.compile(r'(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s+\S+\s+\d+\s+\d+\s+"(.*)"')
_ITK_SNAP_HEAD = """\
################################################
# ITK-SnAP Label Description File
# File format:
# IDX   -R-  -G-  -B-  -A--  VIS MSH  LABEL
################################################"""
_COLUMNS = {
    "number": ("id", "number", "label", "index", "labelvalue"),
    "name": ("name",),
    "red": ("r", "red", "color_r"),
    "green": ("g", "green", "color_g"),
    "blue": ("b", "blue", "color_b"),
}


def read_label_set(path: str | Path) -> LabelSet:
    """Read a set of label classes from a file.

    Row 0, the background of colour tables, is left out. A class without a colour gets that of its
    number. The set is called as the file, unless it is JSON with a name of its own.

    Parameters
    ----------
    path : path
        ``.json`` as `write_label_set` writes it; ``.csv`` with the columns id, name and, if wanted,
        r, g, b; ``.ctbl`` of Slicer; ``.label`` of ITK-SNAP; ``.txt`` of either of these two.

    Raises
    ------
    FileFormatError
        If the suffix is another one, or the file is missing, damaged, over 8 MiB, or has a number
        twice or outside 1..65535.
    """
    path = Path(path)
    read = _choose(_READERS, path)
    with reading(path, WHAT):
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError(f"it is over {_MOST_BYTES >> 20} MiB")
        # utf-8-sig: spreadsheets put a byte-order mark in front of the first column's name.
        found: LabelSet = read(path.read_text(encoding="utf-8-sig"), path.stem)
        _check_numbers(found.classes)
    return found


def write_label_set(path: str | Path, label_set: LabelSet) -> None:
    """Write a set of label classes; the suffix chooses the form, as in `read_label_set`.

    Only JSON keeps codes and the set's own name. A ``.txt`` file is written as ITK-SNAP's. Slicer's
    tables have no spaces in names: they become "_", and "_" is read as a space.

    Raises
    ------
    FileFormatError
        If the suffix is another one, or the file cannot be written.
    """
    write = _choose(_WRITERS, Path(path))
    text = write(LabelSet(label_set.name, tuple(map(in_one_line, label_set.classes))))
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def class_to_json(each: LabelClass) -> dict[str, Any]:
    """A class as JSON objects are written: number, name, color and, where there is one, code."""
    content = asdict(each)
    if each.code is None:
        del content["code"]
    elif each.code.modifier is None:
        del content["code"]["modifier"]
    else:
        del content["code"]["modifier"]["modifier"]
    return content


def class_from_json(row: Any) -> LabelClass:
    """The class of what `class_to_json` made.

    Raises
    ------
    ValueError, LookupError
        If something is missing or of another type.
    """
    if not isinstance(row, dict):
        raise ValueError(f"{row!r:.80} is no class with a number and a name")
    name, color = row["name"], row.get("color")
    if not isinstance(name, str) or not isinstance(color, list | None):
        raise ValueError(f"the class {row!r:.80} has no name or a wrong colour")
    return _class(row["number"], name, color, code_from_json(row.get("code")))


def _choose(table: dict[str, Callable[..., Any]], path: Path) -> Callable[..., Any]:
    suffix = path.suffix.lower()
    if suffix not in table:
        raise FileFormatError(f"{path}: label sets have names that end with {', '.join(table)}.")
    return table[suffix]


def _from_json(text: str, stem: str) -> LabelSet:
    content = json.loads(text)
    if not isinstance(content, dict) or not isinstance(content.get("classes"), list):
        raise ValueError("it has no list named 'classes'")
    name = content.get("name", stem)
    if not isinstance(name, str):
        raise ValueError(f"its name is {name!r:.80}")
    return LabelSet(name, tuple(map(class_from_json, _foreground(content["classes"]))))


def _foreground(rows: Iterable[Any]) -> list[Any]:
    return [row for row in rows if not isinstance(row, dict) or row.get("number") != 0]


def _from_csv(text: str, stem: str) -> LabelSet:
    rows = csv.DictReader(io.StringIO(text), skipinitialspace=True)
    heads = {str(head).strip().casefold(): head for head in rows.fieldnames or ()}
    columns = {
        what: next((heads[name] for name in names if name in heads), None)
        for what, names in _COLUMNS.items()
    }
    if columns["number"] is None or columns["name"] is None:
        raise ValueError("its first line has no columns id and name")
    found = []
    for row in rows:
        color = [row.get(columns[part] or "") for part in ("red", "green", "blue")]
        given = all(color)
        found.append((row[columns["number"]], row[columns["name"]], color if given else None))
    return _set(stem, found)


def _from_slicer(text: str, stem: str) -> LabelSet:
    matches = _matches(_SLICER_LINE, text)
    return _set(stem, [(m[1], m[2].replace("_", " "), [m[3], m[4], m[5]]) for m in matches])


def _from_itk_snap(text: str, stem: str) -> LabelSet:
    matches = _matches(_ITK_SNAP_LINE, text)
    return _set(stem, [(m[1], m[5], [m[2], m[3], m[4]]) for m in matches])


def _from_text(text: str, stem: str) -> LabelSet:
    of_slicer = text.lstrip().startswith(_SLICER_HEAD)
    return (_from_slicer if of_slicer else _from_itk_snap)(text, stem)


def _matches(pattern: re.Pattern[str], text: str) -> list[re.Match[str]]:
    """Of each line that is no comment."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        match = pattern.fullmatch(line)
        if match is None:
            raise ValueError(f"line {number} is no label: {line[:80]!r}")
        found.append(match)
    return found


def _set(name: str, rows: Iterable[tuple[Any, Any, list[Any] | None]]) -> LabelSet:
    numbered = [(_whole(number), text, color) for number, text, color in rows]
    return LabelSet(name, tuple(_class(*row) for row in numbered if row[0] != 0))


def _class(
    number: Any, name: str | None, color: list[Any] | None, code: Code | None = None
) -> LabelClass:
    if type(number) is not int or not 1 <= number <= LARGEST_NUMBER:
        raise ValueError(f"{number!r:.80} is no label number from 1 to {LARGEST_NUMBER}")
    parts = color_of(number) if color is None else tuple(_whole(part) for part in color)
    if len(parts) != 3 or not all(0 <= part <= 255 for part in parts):
        raise ValueError(f"the colour of label {number} is not three whole numbers from 0 to 255")
    red, green, blue = parts
    return in_one_line(LabelClass(number, name or "", (red, green, blue), code))


def code_from_json(value: Any) -> Code | None:
    """A code, or None; ValueError if it is neither."""
    if value is None:
        return None
    match value:
        case {"scheme": str(scheme), "value": str(code), "meaning": str(meaning)}:
            return Code(scheme, code, meaning, code_from_json(value.get("modifier")))
    raise ValueError(f"the code {value!r:.80} has no scheme, value and meaning")


def _whole(value: Any) -> int:
    if isinstance(value, bool | float) or value is None:
        raise ValueError(f"{value!r} is not a whole number")
    return int(value)


def _check_numbers(classes: Iterable[LabelClass]) -> None:
    seen: set[int] = set()
    for each in classes:
        if each.number in seen:
            raise ValueError(f"it has label {each.number} twice")
        seen.add(each.number)


def _to_json(label_set: LabelSet) -> str:
    content = {"name": label_set.name, "classes": [class_to_json(c) for c in label_set.classes]}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _to_csv(label_set: LabelSet) -> str:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("id", "name", "r", "g", "b"))
    rows.writerows((c.number, c.name, *c.color) for c in label_set.classes)
    return text.getvalue()


def _to_slicer(label_set: LabelSet) -> str:
    lines = [_SLICER_HEAD, f"# {len(label_set.classes) + 1} values", "0 Background 0 0 0 0"]
    for each in label_set.classes:
        name = each.name.replace(" ", "_")
        lines.append(f"{each.number} {name} {_spaced(each.color)} 255")
    return "\n".join(lines) + "\n"


def _to_itk_snap(label_set: LabelSet) -> str:
    lines = [_ITK_SNAP_HEAD, '0 0 0 0 0 0 0 "Clear Label"']
    lines += [f'{c.number} {_spaced(c.color)} 1 1 1 "{c.name}"' for c in label_set.classes]
    return "\n".join(lines) + "\n"


def _spaced(color: Color) -> str:
    return " ".join(map(str, color))


_READERS: dict[str, Callable[[str, str], LabelSet]] = {
    ".json": _from_json,
    ".csv": _from_csv,
    ".ctbl": _from_slicer,
    ".label": _from_itk_snap,
    ".txt": _from_text,
}
_WRITERS: dict[str, Callable[[LabelSet], str]] = {
    ".json": _to_json,
    ".csv": _to_csv,
    ".ctbl": _to_slicer,
    ".label": _to_itk_snap,
    ".txt": _to_itk_snap,
}
