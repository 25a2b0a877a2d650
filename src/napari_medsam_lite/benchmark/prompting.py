"""From drawn boxes to masks: where the comparison of ways meets the engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.settings import Settings
from napari_medsam_lite.engine.prepared import PreparedVolume
from napari_medsam_lite.engine.propagation.slice_mask import SliceMask
from napari_medsam_lite.engine.segmenter import Segmenter
from napari_medsam_lite.engine.timings import Timings


@dataclass(frozen=True)
class Drawn:
    """An object and the boxes that were drawn for it."""

    name: str
    boxes: tuple[Box3D, ...]


def segment(
    segmenter: Segmenter,
    prepared: PreparedVolume,
    objects: Sequence[Drawn],
    settings: Settings,
    timings: Timings,
) -> Iterator[SliceMask]:
    """Masks of all `objects`; their `object` is the place in `objects`."""
    owned = [(owner, box) for owner, drawn in enumerate(objects) for box in drawn.boxes]
    owners, boxes = zip(*owned, strict=True)
    for item in segmenter.propagate(prepared, boxes, settings.propagation, timings):
        yield replace(item, object=owners[item.object])


def segment_alone(
    segmenter: Segmenter,
    prepared: PreparedVolume,
    box: Box3D,
    settings: Settings,
    timings: Timings,
) -> SliceMask:
    """The mask of a flat box on its slice."""
    (item,) = segmenter.segment_slice(prepared, box.z0, [box.plane(prepared.axis)], timings)
    return item
