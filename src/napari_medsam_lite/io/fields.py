"""Values in JSON files of ours, checked one by one: what is wrong is told by its name."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any, get_args

from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.segmentation import SliceRecord, Source
from napari_medsam_lite.core.settings import (
    Settings,
    parse_detail,
    parse_overlap,
    parse_propagation,
    parse_step,
)

_CORNERS = ("z0", "y0", "x0", "z1", "y1", "x1")


def typed(value: Any, kind: type | tuple[type, ...], name: str) -> Any:
    """`value` if it is of that kind; True and False are no numbers.

    Raises
    ------
    ValueError
        If it is not.
    """
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f"'{name}' is {value!r}")
    return value


def flag(value: Any, name: str) -> bool:
    """`value` if it is True or False; errors as `typed`."""
    if not isinstance(value, bool):
        raise ValueError(f"'{name}' is {value!r}")
    return value


def whole_numbers(values: Any, name: str) -> tuple[int, ...]:
    """A list of whole numbers; errors as `typed`."""
    return tuple(typed(value, int, name) for value in typed(values, list, name))


def settings_to_json(settings: Settings) -> dict[str, Any]:
    """All but the checkpoint's place: its hash says which one it was."""
    values = asdict(settings)
    del values["checkpoint"]
    return values


def settings_from_json(values: dict[str, Any]) -> Settings:
    """Settings of which those that decide the answer must be there; errors as `typed`."""
    axis = typed(values["axis"], int, "axis")
    if axis not in (0, 1, 2):
        raise ValueError(f"axis is {axis}, not 0, 1 or 2")
    return Settings(
        window=typed(values["window"], str, "window"),
        axis=axis,
        preset=typed(values["preset"], str, "preset"),
        device=typed(values["device"], str, "device"),
        propagation=parse_propagation(typed(values["propagation"], str, "propagation")),
        detail=parse_detail(typed(values.get("detail", "whole"), str, "detail")),
        step=parse_step(typed(values.get("step", "1"), str, "step")),
        overlap=parse_overlap(typed(values.get("overlap", "logit"), str, "overlap")),
        on_disk=flag(values.get("on_disk", False), "on_disk"),
    )


def box_from_json(row: Any) -> Box3D:
    """A box; errors as `typed`."""
    corners = {corner: typed(row[corner], int, corner) for corner in _CORNERS}
    key = row.get("key")
    return Box3D(**corners, key=None if key is None else typed(key, int, "key"))


def record_from_json(row: Any, label: int | None = None) -> SliceRecord:
    """What is known of a mask, of `label` where the row does not say; errors as `typed`."""
    source = row["source"]
    if source not in get_args(Source):
        raise ValueError(f"'source' is {source!r}")
    return SliceRecord(
        label=typed(row["label"], int, "label") if label is None else label,
        index=typed(row["index"], int, "index"),
        score=float(typed(row["score"], (int, float), "score")),
        source=source,
        reason=typed(row.get("reason", ""), str, "reason"),
    )


def spacing_from_json(values: Any) -> tuple[float, float, float]:
    """Voxel sizes (z, y, x) in mm; errors as `typed`."""
    sizes = [float(typed(v, (int, float), "spacing")) for v in typed(values, list, "spacing")]
    if len(sizes) != 3 or not all(math.isfinite(size) and size > 0 for size in sizes):
        raise ValueError(f"'spacing' is {values!r}")
    z, y, x = sizes
    return z, y, x


def reason_of(error: Exception) -> str:
    """What is wrong, without a full stop at its end."""
    text = f"{error} is missing" if isinstance(error, KeyError) else str(error)
    return text.rstrip(".")
