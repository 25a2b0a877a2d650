"""One case of ``segment``: from its file to its labels file."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.cli.recording import Done, Report, line_of
from napari_medsam_lite.cli.streams import one_line, quieten_libraries
from napari_medsam_lite.core.agreement import dice_by_label
from napari_medsam_lite.core.boxes import Box3D, WorldBox
from napari_medsam_lite.core.case import Case
from napari_medsam_lite.core.errors import PromptError
from napari_medsam_lite.core.files import make_folder
from napari_medsam_lite.core.frame import FRAME
from napari_medsam_lite.core.labelset import class_named
from napari_medsam_lite.core.segmentation import SliceRecord
from napari_medsam_lite.core.settings import AUTO, Settings
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.core.window import Limits
from napari_medsam_lite.io.formats import read_case, write_labels
from napari_medsam_lite.io.montage import save_montage
from napari_medsam_lite.io.overlay import save_overlay
from napari_medsam_lite.io.runfile import RunRecord, run_path, run_record, save_run

if TYPE_CHECKING:
    from napari_medsam_lite.engine.predictor import VolumePredictor

ROUNDING = 1e-4
"""Of a voxel's size: headers hold it in single precision, some with few digits."""


@dataclass(frozen=True)
class Job:
    """What is done to each case; without boxes, each brings its own.

    `names` are those of the boxes, "" where one has none, and `ids` their labels, 1, 2, 3, ... if
    empty. With `spacing` (z, y, x) in mm, voxels are taken to be of that size, whatever the file
    says. `series` is the one to read of folders that hold several.
    """

    settings: Settings
    boxes: tuple[Box3D | WorldBox, ...] = ()
    names: tuple[str, ...] = ()
    ids: tuple[int, ...] = ()
    spacing: tuple[float, float, float] | None = None
    series: str | None = None


@dataclass(frozen=True)
class CaseFiles:
    """Where a case comes from and goes to; `overwrite` if labels that are there may be replaced."""

    source: Path
    target: Path
    overlay: Path | None = None
    overwrite: bool = False
    montage: Path | None = None

    @property
    def run_file(self) -> Path:
        """Beside the labels."""
        return run_path(self.target)


@dataclass(frozen=True)
class Answer:
    """Labels of a case, on their way to the file, with what made them and what is told of them."""

    case: Case
    labels: NDArray[Any]
    limits: Limits
    run: RunRecord
    report: Report


class CaseRunner:
    """The three steps of a case; pickled for worker processes, which load their own network.

    `progress` is called with (masks done, masks at most), in this process only.
    """

    def __init__(self, job: Job, progress: Callable[[int, int], None] | None = None) -> None:
        self.job = job
        self._progress = progress

    def __call__(self, files: CaseFiles) -> Done:
        """All three steps."""
        quieten_libraries()
        return self.write(files, self.segment(files, self.read(files)))

    def read(self, files: CaseFiles) -> tuple[Case, float]:
        """The case, and the seconds it took to read."""
        start = time.perf_counter()
        case = read_case(files.source, self.job.series, self._progress)
        return case, time.perf_counter() - start

    def segment(self, files: CaseFiles, contents: tuple[Case, float]) -> Answer:
        """The labels, from the boxes given, from those of the file, or from the file's truth."""
        case, read_seconds = contents
        start = time.perf_counter()
        s = self.job.settings
        predictor = _predictor(s.preset, s.device, s.checkpoint, s.on_disk)
        volume = _with_spacing(case.volume, self.job.spacing)
        predictor.set_volume(volume, None if s.window == AUTO else s.window, s.axis)
        boxes = in_voxels(self.job.boxes, case.volume) or tuple(case.boxes)
        labels, slices = self._labels(predictor, volume, case, boxes)
        seconds = {
            "read": read_seconds,
            **predictor.timings.seconds,
            "total": time.perf_counter() - start + read_seconds,
        }
        names = self._names(boxes, case)
        agreement = {} if case.gts is None else dice_by_label(labels, case.gts)
        run = run_record(
            volume,
            boxes,
            self._settings_used(predictor, boxes),
            predictor.checkpoint.sha256,
            names=self.job.names,
            ids=self.job.ids,
            slices=slices,
            seconds=seconds,
            dice=_by_name(agreement, names),
            fingerprint=volume.fingerprint,
        )
        report = _report(files, predictor, seconds) | {
            "segments": [
                {"label": label, "name": name, "slices": _rows(slices, label)}
                for label, name in names.items()
            ],
            "dice": run.dice,
            "notes": list(volume.notes),
        }
        return Answer(case, labels, predictor.limits, run, report)

    def write(self, files: CaseFiles, answer: Answer) -> Done:
        """Write the labels, then what belongs to them: the run file, and pictures if wanted."""
        start = time.perf_counter()
        volume, run = answer.case.volume, answer.run
        make_folder(files.target.parent)
        named = dict(zip(run.ids, run.names, strict=False))
        classes = [class_named(label, name) for label, name in named.items() if name]
        write_labels(
            files.target,
            answer.labels,
            volume,
            classes=classes,
            gts=answer.case.gts,
            overwrite=files.overwrite,
        )
        # Whose labels these are is settled now, so the rest is simply put beside them.
        save_run(files.run_file, run, volume.affine)
        how: dict[str, Any] = {
            "axis": run.settings.axis,
            "limits": answer.limits,
            "ids": run.ids,
            "classes": classes,
        }
        for path, save in ((files.overlay, save_overlay), (files.montage, save_montage)):
            if path is not None:
                make_folder(path.parent)
                save(path, volume, answer.labels, run.boxes, **how)
        report, seconds = answer.report, answer.report["seconds"]
        seconds["write"] = time.perf_counter() - start
        seconds["total"] += seconds["write"]
        report["seconds"] = {stage: round(value, 4) for stage, value in seconds.items()}
        return Done(report, *line_of(volume, answer.labels, run, report, how))

    def _labels(
        self, predictor: VolumePredictor, volume: Volume, case: Case, boxes: Sequence[Box3D]
    ) -> tuple[NDArray[Any], list[SliceRecord]]:
        """The labels, and what is known of each mask where boxes were the prompts."""
        from napari_medsam_lite.engine.detail import sides_of
        from napari_medsam_lite.engine.prepared import frame_across

        settings, ids = self.job.settings, list(self._names(boxes, case))
        slices: list[SliceRecord] = []
        if boxes:
            whole = frame_across(volume.shape, volume.spacing, settings.axis)
            predictor.load(_tell, sides_of(settings, whole, len(ids)))
            labels = predictor.segment_volume(
                boxes,
                overlap=settings.overlap,
                propagation=settings.propagation,
                detail=settings.detail,
                step=settings.step,
                ids=self.job.ids,
                progress=self._progress,
                on_mask=lambda mask: slices.append(mask.record(ids[mask.object])),
            )
            return labels, slices
        if case.gts is not None:
            predictor.load(_tell, (FRAME,))
            return predictor.segment_from_labels(case.gts, self._progress), slices
        raise PromptError(f"{case.volume.name} carries no boxes; give them with --box or --boxes.")

    def _settings_used(self, predictor: VolumePredictor, boxes: Sequence[Box3D]) -> Settings:
        used = replace(self.job.settings, preset=predictor.preset, device=predictor.load().target)
        # Where the truth is the prompt, there is one way only, whatever was asked for.
        if boxes:
            return used
        return replace(used, propagation="published", detail="whole", step="1", overlap="overwrite")

    def _names(self, boxes: Sequence[Box3D], case: Case) -> dict[int, str]:
        """Label -> name, "" where there is none."""
        if not boxes and case.gts is not None:
            return {int(label): "" for label in np.unique(case.gts) if label > 0}
        ids = self.job.ids or range(1, len(boxes) + 1)
        names = dict(zip(ids, self.job.names, strict=False))
        return {label: names.get(label, "") for label in ids}

    def __getstate__(self) -> dict[str, Any]:
        return {"job": self.job, "_progress": None}


def _with_spacing(volume: Volume, spacing: tuple[float, float, float] | None) -> Volume:
    """The volume with its voxels taken to be of another size; that is told unless it is rounding.

    Also then it counts: the labels are to be the same to the bit.
    """
    if spacing is None or spacing == volume.spacing:
        return volume
    if not np.allclose(spacing, volume.spacing, rtol=ROUNDING):
        told = f"{volume.name}: voxels are taken as {_size(spacing)}, as in the run file"
        print(one_line(f"{told}; the image's are {_size(volume.spacing)}."), file=sys.stderr)
    return replace(volume, spacing=spacing)


def _size(spacing: tuple[float, float, float]) -> str:
    return " x ".join(f"{size:.4g}" for size in spacing) + " mm (z, y, x)"


def _report(files: CaseFiles, predictor: VolumePredictor, seconds: dict[str, float]) -> Report:
    return {
        "input": str(files.source),
        "output": str(files.target),
        "run": str(files.run_file),
        "preset": predictor.preset,
        "device": predictor.device,
        "notice": predictor.checkpoint.notice,
        "seconds": seconds,
        "slices_encoded": predictor.timings.slices_encoded,
        "boxes_decoded": predictor.timings.boxes_decoded,
    }


def _rows(slices: Sequence[SliceRecord], label: int) -> list[dict[str, Any]]:
    """What is known of each mask of `label`, from the first slice to the last."""
    own = sorted((row for row in slices if row.label == label), key=lambda row: row.index)
    return [
        {"slice": row.index, "score": row.score, "source": row.source, "reason": row.reason}
        for row in own
    ]


def _by_name(values: dict[int, float], names: dict[int, str]) -> dict[str, float]:
    """The values under the segments' names, or under the label where a name does not tell."""
    count = Counter(names.values())
    return {
        names[label] if names.get(label) and count[names[label]] == 1 else str(label): value
        for label, value in values.items()
    }


@lru_cache(maxsize=1)
def _predictor(preset: str, device: str, checkpoint: str | None, on_disk: bool) -> VolumePredictor:
    """One predictor a process, so that the network is loaded once."""
    from napari_medsam_lite.engine.cache import EmbeddingCache
    from napari_medsam_lite.engine.disk_cache import DiskCache
    from napari_medsam_lite.engine.predictor import VolumePredictor

    cache = EmbeddingCache(disk=DiskCache() if on_disk else None)
    predictor = VolumePredictor(preset, device, checkpoint, cache)
    predictor.load(_tell)
    return predictor


def _tell(text: str) -> None:
    print(f"{text}...", file=sys.stderr)


def in_voxels(boxes: Sequence[Box3D | WorldBox], volume: Volume) -> tuple[Box3D, ...]:
    """The boxes in voxels of `volume`."""
    affine: Any = volume.affine
    return tuple(b.in_voxels(affine) if isinstance(b, WorldBox) else b for b in boxes)
