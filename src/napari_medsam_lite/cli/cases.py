"""One case of ``segment``: from its file to its labels file."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from napari_medsam_lite.core.agreement import dice_by_label
from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.case import Case
from napari_medsam_lite.core.errors import PromptError
from napari_medsam_lite.core.files import make_folder
from napari_medsam_lite.core.window import Limits
from napari_medsam_lite.io.formats import read_case, write_labels
from napari_medsam_lite.io.overlay import save_overlay

if TYPE_CHECKING:
    from napari_medsam_lite.engine.predictor import VolumePredictor

Labels = NDArray[Any]
Report = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """What is done to each case, and with what."""

    preset: str = "auto"
    device: str = "auto"
    checkpoint: str | None = None
    boxes: tuple[Box3D, ...] = ()
    window: str | None = None
    axis: int = 0
    propagation: str = "published"
    overlap: str = "later"
    cache: bool = False


@dataclass(frozen=True)
class CaseFiles:
    """Where a case comes from and goes to."""

    source: Path
    target: Path
    overlay: Path | None = None


@dataclass(frozen=True)
class Answer:
    """Labels of a case, on their way to the file."""

    case: Case
    labels: Labels
    boxes: tuple[Box3D, ...]
    limits: Limits
    report: Report


class CaseRunner:
    """The three steps of a case; pickled for worker processes, which load their own network."""

    def __init__(
        self, settings: Settings, progress: Callable[[int, int], None] | None = None
    ) -> None:
        self.settings = settings
        self._progress = progress

    def __call__(self, files: CaseFiles) -> Report:
        """All three steps."""
        return self.write(files, self.segment(files, self.read(files)))

    def read(self, files: CaseFiles) -> tuple[Case, float]:
        """The case, and the seconds it took to read."""
        start = time.perf_counter()
        return read_case(files.source), time.perf_counter() - start

    def segment(self, files: CaseFiles, contents: tuple[Case, float]) -> Answer:
        """The labels, from the boxes of the settings, of the file, or of the file's truth."""
        case, read_seconds = contents
        start = time.perf_counter()
        s = self.settings
        predictor = _predictor(s.preset, s.device, s.checkpoint, s.cache)
        predictor.set_volume(case.volume, s.window, s.axis)
        boxes: Sequence[Box3D] = s.boxes or case.boxes
        if boxes:
            labels: Labels = predictor.segment_volume(
                boxes,
                overlap=s.overlap,
                propagation=s.propagation,  # type: ignore[arg-type]
                progress=self._progress,
            )
        elif case.gts is not None:
            labels = predictor.segment_from_labels(case.gts, self._progress)
        else:
            raise PromptError(
                f"{case.volume.name} carries no boxes; give them with --box or --boxes."
            )
        seconds = {
            "read": read_seconds,
            **predictor.timings.seconds,
            "total": time.perf_counter() - start + read_seconds,
        }
        report = {
            "input": str(files.source),
            "output": str(files.target),
            "preset": predictor.preset,
            "device": predictor.device,
            "notice": predictor.checkpoint.notice,
            "seconds": seconds,
            "slices_encoded": predictor.timings.slices_encoded,
            "boxes_decoded": predictor.timings.boxes_decoded,
            "dice": {} if case.gts is None else dice_by_label(labels, case.gts),
        }
        return Answer(case, labels, tuple(boxes), predictor.limits, report)

    def write(self, files: CaseFiles, answer: Answer) -> Report:
        """Write the labels, and the picture if one is wanted."""
        start = time.perf_counter()
        make_folder(files.target.parent)
        volume = answer.case.volume
        write_labels(files.target, answer.labels, volume, gts=answer.case.gts)
        if files.overlay is not None:
            make_folder(files.overlay.parent)
            save_overlay(
                files.overlay,
                volume,
                answer.labels,
                answer.boxes,
                axis=self.settings.axis,
                limits=answer.limits,
            )
        seconds = answer.report["seconds"]
        seconds["write"] = time.perf_counter() - start
        seconds["total"] += seconds["write"]
        answer.report["seconds"] = {stage: round(value, 4) for stage, value in seconds.items()}
        return answer.report

    def __getstate__(self) -> dict[str, Any]:
        return {"settings": self.settings, "_progress": None}


@lru_cache(maxsize=1)
def _predictor(preset: str, device: str, checkpoint: str | None, on_disk: bool) -> VolumePredictor:
    """One predictor a process, so that the network is loaded once."""
    from napari_medsam_lite.engine.cache import EmbeddingCache
    from napari_medsam_lite.engine.disk_cache import DiskCache
    from napari_medsam_lite.engine.predictor import VolumePredictor

    cache = EmbeddingCache(disk=DiskCache() if on_disk else None)
    predictor = VolumePredictor(preset, device, checkpoint, cache)
    predictor.load(lambda text: print(f"{text}...", file=sys.stderr))
    return predictor
