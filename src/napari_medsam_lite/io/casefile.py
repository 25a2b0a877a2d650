"""Case files: all that a person did to one image, so that work goes on another day.

``NAME.medsam.json`` lies beside the labels. It holds no voxels of the image and no names, ids or
dates of patients, but the names of files and folders that lead from it to image and labels.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.asked import Asked
from napari_medsam_lite.core.boxes import KeyBox
from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.core.files import replacing
from napari_medsam_lite.core.segmentation import Segment, Segmentation
from napari_medsam_lite.io.case_json import case_from_json, case_to_json
from napari_medsam_lite.io.case_record import CaseRecord, FileReference
from napari_medsam_lite.io.guard import reading
from napari_medsam_lite.io.runfile import load_run

SUFFIX = ".medsam.json"
WHAT = "a case file"


def is_case(path: str | Path) -> bool:
    """Whether `path` has the name of a case file."""
    return Path(path).name.lower().endswith(SUFFIX)


def case_path(labels: str | Path) -> Path:
    """Where the case file of a labels file goes: ``ct.nii.gz`` -> ``ct.medsam.json``."""
    from napari_medsam_lite.io.registry import file_suffix  # brings nibabel, slow to the dock

    path = Path(labels)
    return path.with_name(path.name[: -len(file_suffix(path))] + SUFFIX)


def refer_to(path: str | Path, case: str | Path, fingerprint: str) -> FileReference:
    """What a case file at `case` says of the file at `path`."""
    try:
        way = os.path.relpath(path, Path(case).parent)
    except ValueError:  # Windows: on another drive
        way = str(path)
    return FileReference(Path(way).as_posix(), fingerprint)


def labels_fingerprint(labels: NDArray[Any]) -> str:
    """A hash of every voxel of (Z, Y, X) `labels`, whatever their type."""
    digest = hashlib.blake2b(repr(labels.shape).encode(), digest_size=16)
    for plane in labels:
        digest.update(np.ascontiguousarray(plane, np.uint16).data)
    return digest.hexdigest()


def save_case(
    path: str | Path, case: CaseRecord, affine: NDArray[np.float64] | None = None
) -> None:
    """Write a case file; with the image's `affine` (z, y, x), boxes also in RAS world mm.

    Raises
    ------
    FileFormatError
        If the file cannot be written.
    """
    content = case_to_json(case, affine)
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")


def load_case(path: str | Path) -> CaseRecord:
    """Read what `save_case` wrote, or a run file.

    Raises
    ------
    FileFormatError
        If the file is missing, damaged, of a newer version, or lacks something.
    """
    with reading(path, WHAT):
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    if isinstance(content, dict) and "format" in content:
        return _from_run(path)
    return case_from_json(content, str(path))


def _from_run(path: str | Path) -> CaseRecord:
    """A run file as a case of one run."""
    run = load_run(path)
    if not run.boxes:
        raise FileFormatError(
            f"{path} is the run file of a run without boxes; do it again with --run."
        )
    numbers = run.ids or tuple(range(1, len(run.boxes) + 1))
    names = dict(zip(numbers, run.names, strict=False))
    axis = run.settings.axis
    asked = Asked(
        "volume", run.settings, run.boxes, numbers, checkpoint_sha256=run.checkpoint_sha256
    )
    found = Segmentation(asked=(asked,))
    for number in dict.fromkeys(numbers):
        records = {(axis, r.index): r for r in run.slices if r.label == number}
        found = found.put(Segment(name=names.get(number, ""), number=number, records=records))
    return CaseRecord(
        image=FileReference(run.input, run.fingerprint),
        shape=None,
        spacing=run.spacing,
        segmentation=replace(found, current=numbers[0]),
        boxes=tuple(
            KeyBox(number, axis, replace(box, key=box.key_slice(axis)))
            for number, box in zip(numbers, run.boxes, strict=True)
        ),
        settings=run.settings,
        versions=run.versions,
    )
