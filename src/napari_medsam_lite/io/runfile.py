"""Run files: what was done to one image, so that it can be looked up and done again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.errors import FileFormatError, MedSAMLiteError
from napari_medsam_lite.core.files import replacing
from napari_medsam_lite.core.segmentation import SliceRecord
from napari_medsam_lite.core.settings import AUTO, Settings
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.io.fields import (
    box_from_json,
    reason_of,
    record_from_json,
    settings_from_json,
    settings_to_json,
    spacing_from_json,
    typed,
    whole_numbers,
)
from napari_medsam_lite.io.guard import reading

FORMAT = 2
PACKAGES = ("napari-medsam-lite", "torch", "openvino", "numpy", "napari")
ENDINGS = ("finished", "cancelled", "failed")


@dataclass(frozen=True)
class RunRecord:
    """One run: everything that decides its answer, then what it took and gave.

    Parameters
    ----------
    input : str
        Name of the image file, without its folder.
    boxes : tuple of Box3D
        Inclusive voxel corners; empty if they were taken from the image's truth, slice by slice.
    settings : Settings
        With the preset and the device that "auto" became. The checkpoint's place is not kept:
        its hash says which one it was.
    checkpoint_sha256 : str
        Of the weights.
    names : tuple of str
        A name a box, "" where it has none; or empty.
    ids : tuple of int
        The label of each box; empty means 1, 2, 3, ...
    spacing : tuple of float or None
        Voxel size (z, y, x) in mm as the run took it, which need not be the file's: in napari it is
        the layer's scale. None means the file's.
    ending : str
        One of `ENDINGS`.
    slices : tuple of SliceRecord
        What is known of each mask.
    versions : dict
        Package -> version.
    seconds : dict
        Stage -> seconds.
    dice : dict
        Object -> Dice against the truth, where one was known.
    fingerprint : str
        Of the image's voxels, see `core.volume.fingerprint_of`; "" in files of before.
    """

    input: str
    boxes: tuple[Box3D, ...]
    settings: Settings
    checkpoint_sha256: str
    names: tuple[str, ...] = ()
    ids: tuple[int, ...] = ()
    spacing: tuple[float, float, float] | None = None
    ending: str = "finished"
    slices: tuple[SliceRecord, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    dice: dict[str, float] = field(default_factory=dict)
    fingerprint: str = ""


def run_record(
    volume: Volume,
    boxes: Sequence[Box3D],
    settings: Settings,
    checkpoint_sha256: str,
    *,
    names: Sequence[str] = (),
    ids: Sequence[int] = (),
    ending: str = "finished",
    slices: Sequence[SliceRecord] = (),
    seconds: Mapping[str, float] | None = None,
    dice: Mapping[str, float] | None = None,
    fingerprint: str = "",
) -> RunRecord:
    """The record of a run on `volume` with this program; see `RunRecord`.

    The volume's spacing is taken for that of the run.
    """
    return RunRecord(
        input=volume.source.path.name if volume.source else volume.name,
        boxes=tuple(boxes),
        settings=replace(settings, checkpoint=None),
        checkpoint_sha256=checkpoint_sha256,
        names=tuple(names),
        ids=tuple(ids),
        spacing=volume.spacing,
        ending=ending,
        slices=tuple(slices),
        versions=dict(versions_in_use()),
        seconds={stage: round(value, 4) for stage, value in (seconds or {}).items()},
        dice={name: round(value, 4) for name, value in (dice or {}).items()},
        fingerprint=fingerprint,
    )


def run_path(labels: str | Path) -> Path:
    """Where the run file of a labels file goes: ``liver.nii.gz`` -> ``liver.run.json``."""
    from napari_medsam_lite.io.registry import file_suffix  # brings nibabel, slow to the dock

    path = Path(labels)
    return path.with_name(path.name[: -len(file_suffix(path))] + ".run.json")


def save_run(
    path: str | Path, run: RunRecord, affine: NDArray[np.float64], *, overwrite: bool = True
) -> None:
    """Write a run as JSON; boxes also in RAS world mm through the volume's `affine` (z, y, x).

    Raises
    ------
    FileFormatError
        If the file cannot be written.
    """
    content = {**run_to_json(run), "boxes_world_mm": boxes_to_world(run.boxes, affine)}
    with replacing(path, overwrite=overwrite) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def load_run(path: str | Path) -> RunRecord:
    """Read what `save_run` wrote, also that of version 0.1.

    Raises
    ------
    FileFormatError
        If the file is missing, damaged, of a newer format, or lacks something.
    """
    with reading(path, "a run file"):
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    return run_from_json(content, str(path))


def run_to_json(run: RunRecord) -> dict[str, Any]:
    """What a run file holds besides the boxes in world millimetres."""
    return {"format": FORMAT, **asdict(run), "settings": settings_to_json(run.settings)}


def run_from_json(content: Any, where: str) -> RunRecord:
    """The run that `content` is, found in `where`; raises as `load_run`."""
    if not isinstance(content, dict) or "format" not in content:
        raise FileFormatError(f"{where} is not a run file of this program.")
    if content["format"] not in (1, FORMAT):
        raise FileFormatError(
            f"{where} has run format {content['format']}, this version reads 1 to {FORMAT}; "
            "update napari-medsam-lite."
        )
    try:
        return _record(content)
    except (KeyError, TypeError, ValueError, MedSAMLiteError) as error:
        raise FileFormatError(f"{where} is damaged: {reason_of(error)}.") from error


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


@cache
def versions_in_use() -> dict[str, str]:
    """Package -> version, of those that decide an answer."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _record(content: dict[str, Any]) -> RunRecord:
    """A record from checked JSON; the errors that `load_run` catches say what is wrong."""
    if content["format"] == 1:
        settings = _first_settings(content)
    else:
        settings = settings_from_json(typed(content["settings"], dict, "settings"))
    spacing = content.get("spacing")
    boxes = tuple(box_from_json(box) for box in typed(content["boxes"], list, "boxes"))
    rows = typed(content.get("slices", []), list, "slices")
    return RunRecord(
        input=typed(content["input"], str, "input"),
        boxes=boxes,
        settings=settings,
        checkpoint_sha256=typed(content["checkpoint_sha256"], str, "checkpoint_sha256"),
        names=tuple(str(n) for n in typed(content.get("names", []), list, "names")),
        ids=_ids(typed(content.get("ids", []), list, "ids"), len(boxes)),
        spacing=None if spacing is None else spacing_from_json(spacing),
        ending=_ending(content.get("ending", "finished")),
        slices=tuple(map(record_from_json, rows)),
        fingerprint=typed(content.get("fingerprint", ""), str, "fingerprint"),
        **{k: typed(content.get(k, {}), dict, k) for k in ("versions", "seconds", "dice")},
    )


def _first_settings(content: dict[str, Any]) -> Settings:
    """Those of format 1, which had the device in words that no option takes."""
    return settings_from_json({**content, "device": AUTO})


def _ids(values: list[Any], boxes: int) -> tuple[int, ...]:
    ids = whole_numbers(values, "ids")
    if ids and (len(ids) != boxes or min(ids) < 1):
        raise ValueError(f"'ids' is {values!r}, not a label for each of {boxes} boxes")
    return ids


def _ending(value: Any) -> str:
    if value not in ENDINGS:
        raise ValueError(f"'ending' is {value!r}")
    return str(value)
