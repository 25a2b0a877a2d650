"""A case as JSON and back; every value is checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.asked import Asked, Kind, Pair
from napari_medsam_lite.core.boxes import Box3D, KeyBox
from napari_medsam_lite.core.errors import FileFormatError, MedSAMLiteError
from napari_medsam_lite.core.labelset import Color
from napari_medsam_lite.core.segmentation import Place, Segment, Segmentation, SliceRecord
from napari_medsam_lite.core.settings import Settings
from napari_medsam_lite.io.case_record import CaseRecord, FileReference
from napari_medsam_lite.io.fields import (
    box_from_json,
    flag,
    reason_of,
    record_from_json,
    settings_from_json,
    settings_to_json,
    spacing_from_json,
    typed,
    whole_numbers,
)
from napari_medsam_lite.io.labelsets import code_from_json
from napari_medsam_lite.io.packed import pack_mask, unpack_mask
from napari_medsam_lite.io.runfile import boxes_to_world

VERSION = 1
_MOST_LABEL = 65535


def case_to_json(case: CaseRecord, affine: NDArray[np.float64] | None = None) -> dict[str, Any]:
    """What a case file holds."""
    ways = list(dict.fromkeys((a.settings, a.checkpoint_sha256) for a in case.segmentation.asked))
    return {
        "medsam_case": VERSION,
        "versions": case.versions,
        "image": asdict(case.image) | {"shape": case.shape, "spacing": case.spacing},
        "labels": asdict(case.labels) | {"volume": case.leading},
        "settings": settings_to_json(case.settings),
        "current": case.segmentation.current,
        "segments": [_segment_to_json(s, case.boxes, affine) for s in case.segmentation.segments],
        "ways": [settings_to_json(s) | {"checkpoint_sha256": sha} for s, sha in ways],
        "asked": [
            _asked_to_json(a, ways.index((a.settings, a.checkpoint_sha256)))
            for a in case.segmentation.asked
        ],
        "painted": None if case.painted is None else pack_mask(case.painted),
        "history": case.history,
    }


def case_from_json(content: Any, name: str = "The case") -> CaseRecord:
    """What `case_to_json` made; `name` is for messages.

    Raises
    ------
    FileFormatError
        If it is damaged, of a newer version, or lacks something.
    """
    if not isinstance(content, dict) or "medsam_case" not in content:
        raise FileFormatError(f"{name} is not a case file of this program.")
    if content["medsam_case"] != VERSION:
        raise FileFormatError(
            f"{name} has case format {content['medsam_case']}, this version reads {VERSION}; "
            "update napari-medsam-lite."
        )
    try:
        return _case(content)
    except (KeyError, TypeError, ValueError, AttributeError, MedSAMLiteError) as error:
        raise FileFormatError(f"{name} is damaged: {reason_of(error)}.") from error


def _segment_to_json(
    segment: Segment, boxes: Sequence[KeyBox], affine: NDArray[np.float64] | None
) -> dict[str, Any]:
    own = [key_box for key_box in boxes if key_box.number == segment.number]
    return {
        "number": segment.number,
        "name": segment.name,
        "color": segment.color,
        "code": None if segment.code is None else asdict(segment.code),
        "visible": segment.visible,
        "locked": segment.locked,
        "ranges": {str(axis): ends for axis, ends in segment.ranges.items()},
        "boxes": [_box_to_json(key_box, affine) for key_box in own],
        "masks": [
            {
                "axis": axis,
                "index": r.index,
                "score": r.score,
                "source": r.source,
                "reason": r.reason,
            }
            for (axis, _), r in sorted(segment.records.items())
        ],
    }


def _box_to_json(key_box: KeyBox, affine: NDArray[np.float64] | None) -> dict[str, Any]:
    row = {"axis": key_box.axis, **asdict(key_box.box), "volume": key_box.leading}
    return row if affine is None else row | {"world_mm": boxes_to_world([key_box.box], affine)[0]}


def _asked_to_json(asked: Asked, way: int) -> dict[str, Any]:
    return {
        "kind": asked.kind,
        "way": way,
        "boxes": [asdict(box) for box in asked.boxes],
        "numbers": asked.numbers,
        "locked": sorted(asked.locked),
        "erased": asked.erased,
        "only": asked.only,
        "volume": asked.leading,
    }


def _case(content: dict[str, Any]) -> CaseRecord:
    image, labels = typed(content["image"], dict, "image"), content["labels"]
    rows = typed(content["segments"], list, "segments")
    shape, spacing = _shape(image["shape"]), image["spacing"]
    painted = content.get("painted")
    ways = [_way(row) for row in typed(content["ways"], list, "ways")]
    return CaseRecord(
        image=_reference(image),
        shape=shape,
        spacing=None if spacing is None else spacing_from_json(spacing),
        segmentation=Segmentation(
            [_segment(row) for row in rows],
            typed(content["current"], int, "current"),
            tuple(_asked(row, ways) for row in typed(content["asked"], list, "asked")),
        ),
        boxes=tuple(box for row in rows for box in _key_boxes(row)),
        settings=settings_from_json(typed(content["settings"], dict, "settings")),
        labels=_reference(typed(labels, dict, "labels")),
        leading=whole_numbers(labels["volume"], "volume"),
        painted=None if painted is None else unpack_mask(painted, shape or ()),
        history=tuple(typed(r, dict, "history") for r in typed(content["history"], list, "rows")),
        versions=typed(content["versions"], dict, "versions"),
    )


def _shape(values: Any) -> tuple[int, int, int] | None:
    if values is None:
        return None
    z, y, x = whole_numbers(values, "shape")
    if min(z, y, x) < 1:
        raise ValueError(f"'shape' is {values!r}")
    return z, y, x


def _reference(row: dict[str, Any]) -> FileReference:
    path = typed(row["path"], str, "path")
    return FileReference(path, typed(row["fingerprint"], str, "fingerprint"))


def _segment(row: Any) -> Segment:
    number = _label(row["number"])
    return Segment(
        name=typed(row["name"], str, "name"),
        number=number,
        color=_color(row["color"]),
        code=code_from_json(row["code"]),
        ranges={
            _axis(int(axis)): _ends(ends)
            for axis, ends in typed(row["ranges"], dict, "ranges").items()
        },
        records=dict(_mask(each, number) for each in typed(row["masks"], list, "masks")),
        visible=flag(row["visible"], "visible"),
        locked=flag(row["locked"], "locked"),
    )


def _mask(row: Any, number: int) -> tuple[Place, SliceRecord]:
    record = record_from_json(row, number)
    return (_axis(row["axis"]), record.index), record


def _key_boxes(row: Any) -> list[KeyBox]:
    number = _label(row["number"])
    return [
        KeyBox(
            number,
            _axis(each["axis"]),
            _drawn(each),
            whole_numbers(each["volume"], "volume"),
        )
        for each in typed(row["boxes"], list, "boxes")
    ]


def _drawn(row: Any) -> Box3D:
    box = box_from_json(row)
    typed(box.key, int, "key")
    return box


def _asked(row: Any, ways: Sequence[tuple[Settings, str]]) -> Asked:
    if row["kind"] not in get_args(Kind):
        raise ValueError(f"'kind' is {row['kind']!r}")
    way = typed(row["way"], int, "way")
    if not 0 <= way < len(ways):
        raise ValueError(f"'way' is {way}")
    boxes = tuple(box_from_json(box) for box in typed(row["boxes"], list, "boxes"))
    numbers = tuple(map(_label, typed(row["numbers"], list, "numbers")))
    if len(numbers) != (1 if row["kind"] == "deletion" else len(boxes)):
        raise ValueError(f"'numbers' is {row['numbers']!r}, not one for each of {len(boxes)} boxes")
    settings, weights = ways[way]
    return Asked(
        kind=row["kind"],
        settings=settings,
        boxes=boxes,
        numbers=numbers,
        locked=frozenset(whole_numbers(row["locked"], "locked")),
        erased=_pairs(row["erased"], "erased"),
        only=None if row["only"] is None else _pairs(row["only"], "only"),
        leading=whole_numbers(row["volume"], "volume"),
        checkpoint_sha256=weights,
    )


def _way(row: Any) -> tuple[Settings, str]:
    settings = settings_from_json(typed(row, dict, "ways"))
    return settings, typed(row["checkpoint_sha256"], str, "checkpoint_sha256")


def _pairs(rows: Any, name: str) -> tuple[Pair, ...]:
    return tuple(_ends(row, name) for row in typed(rows, list, name))


def _ends(values: Any, name: str = "ranges") -> tuple[int, int]:
    first, last = whole_numbers(values, name)
    return first, last


def _label(value: Any) -> int:
    number: int = typed(value, int, "number")
    if not 1 <= number <= _MOST_LABEL:
        raise ValueError(f"'number' is {number}, not 1 to {_MOST_LABEL}")
    return number


def _axis(value: Any) -> int:
    axis: int = typed(value, int, "axis")
    if axis not in (0, 1, 2):
        raise ValueError(f"'axis' is {axis}, not 0, 1 or 2")
    return axis


def _color(value: Any) -> Color:
    red, green, blue = whole_numbers(value, "color")
    if not all(0 <= part <= 255 for part in (red, green, blue)):
        raise ValueError(f"'color' is {value!r}")
    return red, green, blue
