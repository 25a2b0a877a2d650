"""How good the masks of each way of prompting are, and what they cost."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.benchmark.drawing import AS_DRAWN, Drawing
from napari_medsam_lite.benchmark.scores import ObjectScore, QualityReport, WayScore
from napari_medsam_lite.benchmark.surface_dice import normalised_surface_dice
from napari_medsam_lite.benchmark.truth import TruthCase, TruthFiles, read_truth
from napari_medsam_lite.benchmark.ways import WAYS, Way
from napari_medsam_lite.core.agreement import dice
from napari_medsam_lite.core.boxes import Box2D
from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.core.segmentation import Segment
from napari_medsam_lite.core.settings import AUTO, Detail
from napari_medsam_lite.engine.cache import EmbeddingCache
from napari_medsam_lite.engine.painting import LabelPainter, empty_labels
from napari_medsam_lite.engine.prepared import PreparedVolume, prepare_volume
from napari_medsam_lite.engine.segmenter import Segmenter
from napari_medsam_lite.engine.timings import Timings

Patches = dict[int, tuple[tuple[slice, slice], NDArray[np.bool_]]]
"""Slice -> where its patch of the mask lies, and the patch."""

ALONE_LABELS = 12
"""Of how many objects, from the lowest label, single slices are measured."""


@dataclass(frozen=True)
class QualityPlan:
    """What to measure.

    Attributes
    ----------
    cases : tuple of TruthFiles
        Images with their truth.
    ways : tuple of Way
        Ways of prompting.
    drawing : Drawing
        How far from the object boxes are drawn.
    window, preset, device : str
        See `core.settings.Settings`.
    """

    cases: tuple[TruthFiles, ...]
    ways: tuple[Way, ...] = WAYS
    drawing: Drawing = AS_DRAWN
    window: str = AUTO
    preset: str = AUTO
    device: str = AUTO


DETAILS: tuple[Detail, ...] = ("whole", "auto")
"""Both sizes of the network."""


@dataclass(frozen=True)
class _Bench:
    """What a way is measured with."""

    segmenter: Segmenter
    prepared: PreparedVolume
    case: TruthCase
    drawing: Drawing

    def draw(self, way: Way) -> list[Segment]:
        """All objects with their boxes, in the order of the labels."""
        return [
            Segment(way.boxes(self.case.organ(label), label, self.drawing), name)
            for label, name in self.case.names.items()
        ]


def measure_quality(plan: QualityPlan) -> Iterator[str | QualityReport]:
    """Yields what is going on as text, and the report, more complete each time.

    Slices lie across the first axis.

    Raises
    ------
    FileFormatError
        If a case cannot be read, or none has an object to measure.
    """
    yield "loading the network"
    segmenter = Segmenter(plan.preset, plan.device)
    backend = segmenter.load()
    report = QualityReport(backend.preset.name, backend.device, plan.window, plan.drawing)
    for files in plan.cases:
        yield f"reading {files.image}"
        case = read_truth(files)
        if case is None:
            continue
        report.cases.append(_describe(case))
        prepared = prepare_volume(case.volume, plan.window)
        bench = _Bench(segmenter, prepared, case, plan.drawing)
        _warm_up(bench)
        for way in plan.ways:
            yield f"{case.name}, {way.name}"
            # An embedding of one way must not save another one the time.
            segmenter.cache = EmbeddingCache()
            report.scores.append(_slices(bench, way) if way.alone else _volume(bench, way))
            yield report
    if not report.cases:
        raise FileFormatError("None of the cases has a truth with an object to measure.")


def _describe(case: TruthCase) -> dict[str, Any]:
    return {
        "name": case.name,
        "shape": list(case.volume.shape),
        "spacing": list(case.volume.spacing),
        "objects": len(case.names),
        "left_out": case.left_out,
    }


def _warm_up(bench: _Bench) -> None:
    """Let what a network does on its first image be done: it is no cost of the first way."""
    _, height, width = bench.case.volume.shape
    whole = Box2D(0, 0, height - 1, width - 1)
    for detail in DETAILS:
        list(bench.segmenter.segment_slice(bench.prepared, 0, [whole], detail))


def _volume(bench: _Bench, way: Way) -> WayScore:
    """All objects in one run: each one's own mask, and its part of the label map."""
    case, drawn, timings = bench.case, bench.draw(way), Timings()
    ids = list(case.names)
    labels = empty_labels(case.volume.shape, ids)
    painter = LabelPainter(labels, bench.prepared.axis, ids, way.settings.overlap)
    masks: list[Patches] = [{} for _ in ids]
    start = time.perf_counter()
    for item in bench.segmenter.segment(bench.prepared, drawn, way.settings, timings):
        painter.paint(item)
        masks[item.object][item.index] = item.window, item.patch  # the last one of a slice counts
    seconds = time.perf_counter() - start
    scores = [
        _score(case, label, _whole(patches, labels.shape), labels == label)
        for label, patches in zip(ids, masks, strict=True)
    ]
    return _way_score(case, way, seconds, timings, scores)


def _slices(bench: _Bench, way: Way) -> WayScore:
    """Single slices of the first objects, each prompted alone and compared on its slice."""
    case, timings, scores, seconds = bench.case, Timings(), [], 0.0
    for label, drawn in islice(zip(case.names, bench.draw(way), strict=True), ALONE_LABELS):
        organ = case.organ(label)
        for box in drawn.boxes:
            start = time.perf_counter()
            (item,) = bench.segmenter.segment_slice(
                bench.prepared, box.z0, [box.plane(0)], way.settings.detail, timings
            )
            seconds += time.perf_counter() - start
            name = f"{drawn.name}, slice {item.index}"
            scores.append(ObjectScore(name, dice(item.mask, organ[item.index])))
    return _way_score(case, way, seconds, timings, scores)


def _score(
    case: TruthCase, label: int, own: NDArray[np.bool_], part: NDArray[np.bool_]
) -> ObjectScore:
    truth, spacing = case.organ(label), case.volume.spacing
    return ObjectScore(
        case.names[label],
        dice(own, truth),
        normalised_surface_dice(own, truth, spacing),
        dice(part, truth),
        normalised_surface_dice(part, truth, spacing),
    )


def _way_score(
    case: TruthCase, way: Way, seconds: float, timings: Timings, scores: Sequence[ObjectScore]
) -> WayScore:
    return WayScore(
        case.name, way.name, seconds, timings.slices_encoded, timings.boxes_decoded, tuple(scores)
    )


def _whole(patches: Patches, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """(Z, Y, X) mask of patches on slices across the first axis."""
    mask = np.zeros(shape, bool)
    for index, (window, patch) in patches.items():
        mask[index][window] = patch
    return mask
