"""run.json: what was done to one image, so that it can be looked up and done again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.core.files import replacing
from napari_medsam_lite.io.guard import reading

FORMAT = 1
_CORNERS = ("z0", "y0", "x0", "z1", "y1", "x1")


@dataclass(frozen=True)
class RunRecord:
    """One run: everything that decides its answer, then what it took and gave.

    Parameters
    ----------
    input : str
        Name of the image file, without its folder.
    boxes : tuple of Box3D
        Inclusive voxel corners.
    window : str
        A window's name, or ``"LEVEL,WIDTH"`` in HU.
    axis : int
        The axis across which slices were taken.
    preset, device, propagation, overlap : str
        As given to the predictor, after "auto" was decided.
    checkpoint_sha256 : str
        Of the weights.
    names : tuple of str
        A name a box, or empty.
    versions : dict
        Package -> version.
    seconds : dict
        Stage -> seconds.
    dice : dict
        Object -> Dice against the truth, where one was known.
    """

    input: str
    boxes: tuple[Box3D, ...]
    window: str
    axis: int
    preset: str
    device: str
    propagation: str
    checkpoint_sha256: str
    overlap: str = "logit"
    names: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    dice: dict[str, float] = field(default_factory=dict)


def save_run(path: str | Path, run: RunRecord, affine: NDArray[np.float64]) -> None:
    """Write a run as JSON; boxes also in RAS world mm through the volume's `affine` (z, y, x).

    Raises
    ------
    FileFormatError
        If the file cannot be written.
    """
    content = {"format": FORMAT, **asdict(run), "boxes_world_mm": boxes_to_world(run.boxes, affine)}
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def load_run(path: str | Path) -> RunRecord:
    """Read what `save_run` wrote.

    Raises
    ------
    FileFormatError
        If the file is missing, damaged, of a newer format, or lacks something.
    """
    with reading(path, "a run file"):
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    if not isinstance(content, dict) or "format" not in content:
        raise FileFormatError(f"{path} is not a run file of this program.")
    if content["format"] != FORMAT:
        raise FileFormatError(
            f"{path} has run format {content['format']}, this version reads {FORMAT}; "
            "update napari-medsam-lite."
        )
    try:
        return _record(content)
    except (KeyError, TypeError, ValueError) as error:
        raise FileFormatError(f"{path} is damaged: {_reason(error)}.") from error


def boxes_to_world(
    boxes: Sequence[Box3D], affine: NDArray[np.float64]
) -> list[dict[str, list[float]]]:
    """The centres of each box's first and last voxel in RAS mm, in the order (z, y, x)."""
    placed = []
    for box in boxes:
        corners = [[box.z0, box.y0, box.x0, 1], [box.z1, box.y1, box.x1, 1]]
        first, last = (np.asarray(corners) @ affine.T)[:, :3].round(3).tolist()
        placed.append({"first": first, "last": last})
    return placed


def _record(content: dict[str, Any]) -> RunRecord:
    """A record from checked JSON; KeyError, TypeError or ValueError say what is wrong."""
    values: dict[str, Any] = {}
    for key in ("input", "window", "preset", "device", "propagation", "checkpoint_sha256"):
        values[key] = _typed(content[key], str, key)
    values["overlap"] = _typed(content.get("overlap", "logit"), str, "overlap")
    values["axis"] = _typed(content["axis"], int, "axis")
    if values["axis"] not in (0, 1, 2):
        raise ValueError(f"axis is {values['axis']}, not 0, 1 or 2")
    values["boxes"] = tuple(_box(box) for box in _typed(content["boxes"], list, "boxes"))
    values["names"] = tuple(str(n) for n in _typed(content.get("names", []), list, "names"))
    for key in ("versions", "seconds", "dice"):
        values[key] = _typed(content.get(key, {}), dict, key)
    return RunRecord(**values)


def _box(row: Any) -> Box3D:
    corners = {corner: _typed(row[corner], int, corner) for corner in _CORNERS}
    key = row.get("key")
    return Box3D(**corners, key=None if key is None else _typed(key, int, "key"))


def _typed(value: Any, kind: type, name: str) -> Any:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f"'{name}' is {value!r}")
    return value


def _reason(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)
