"""What was asked once, asked again: the same masks, painted by the same rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.asked import Asked
from napari_medsam_lite.core.segmentation import count_slices, group_by_label
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.engine.painting import LabelPainter, empty_labels
from napari_medsam_lite.engine.prepared import PreparedVolume, prepare_volume
from napari_medsam_lite.engine.propagation.slice_mask import SliceMask
from napari_medsam_lite.engine.segmenter import Segmenter
from napari_medsam_lite.engine.timings import Timings


def count_masks(asked: Sequence[Asked]) -> int:
    """How many masks `replay` paints at most."""
    return sum(_count(each) for each in asked)


def replay(
    asked: Sequence[Asked],
    volume: Volume,
    network: Callable[[Asked], Segmenter],
    *,
    kept: NDArray[Any] | None = None,
    held: NDArray[np.bool_] | None = None,
    timings: Timings | None = None,
    on_mask: Callable[[Asked, int, SliceMask], None] = lambda *_: None,
) -> NDArray[np.unsignedinteger[Any]]:
    """The labels that come of asking everything again, in order.

    Every voxel is painted by what is known of it alone, so those that a person painted need not be
    painted again in their turn: they are taken from the labels as they were in the end.

    Parameters
    ----------
    asked : sequence of Asked
        Of this volume.
    volume : Volume
        The image, with the spacing that it had.
    network : callable
        Who answers, for each that is asked: with its preset and device, or with others.
    kept, held : ndarray, optional
        (Z, Y, X) labels as they were in the end, and bool: the voxels to take from them.
    timings : Timings, optional
        Takes the seconds, by stage.
    on_mask : callable
        Is told each mask that was painted, with what it answers and its label.

    Returns
    -------
    ndarray
        (Z, Y, X) uint8, or uint16 where a number needs it.

    Raises
    ------
    PromptError
        If a box lies outside the volume.
    """
    highest = 0 if kept is None else int(kept.max(initial=0))
    numbers = {number for each in asked for number in each.numbers} | {highest or 1}
    labels = empty_labels(volume.shape, sorted(numbers))
    if held is not None and kept is not None:
        labels[held] = kept[held]
    prepared: PreparedVolume | None = None
    last_window = ""
    for each in asked:
        settings = each.settings
        if prepared is None or settings.window != last_window:
            prepared = prepare_volume(volume, settings.window, settings.axis)
            last_window = settings.window
        prepared = prepared.across(settings.axis)
        masks = _answers(each, prepared, network(each), timings or Timings())
        for number, mask in _paint(each, masks, labels, held):
            on_mask(each, number, mask)
    return labels


def _paint(
    each: Asked,
    masks: Iterator[SliceMask],
    labels: NDArray[Any],
    held: NDArray[np.bool_] | None,
) -> Iterator[tuple[int, SliceMask]]:
    """Paint masks as the desk did, and yield each with its label."""
    ids = list(each.numbers) if each.kind in ("live", "deletion") else _labels_of(each)
    ids = ids or sorted({number for number, _ in each.erased})
    painter = LabelPainter(labels, each.settings.axis, ids, each.settings.overlap)
    painter.protect(held, each.locked)
    only, painted = None if each.only is None else set(each.only), set()
    if each.kind == "deletion":
        for index in range(labels.shape[each.settings.axis]):
            painter.erase(ids[0], index)
    if each.kind == "live":
        for number, index in each.erased:
            painter.erase(number, index)
    for mask in masks:
        pair = ids[mask.object], mask.index
        if only is None or pair in only:
            painter.paint(mask)
            painted.add(pair)
            yield pair[0], mask
    if each.kind in ("slice", "volume"):
        # Where another preset has found something, that is not what was left over.
        for number, index in set(each.erased) - painted:
            painter.erase(number, index)


def _answers(
    each: Asked, prepared: PreparedVolume, segmenter: Segmenter, timings: Timings
) -> Iterator[SliceMask]:
    """The masks, by the way that they were asked for."""
    if each.kind == "live":
        yield from _live_answers(each, prepared, segmenter, timings)
    elif each.boxes:
        _, segments = group_by_label(each.boxes, each.numbers)
        yield from segmenter.segment(prepared, segments, each.settings, timings)


def _live_answers(
    each: Asked, prepared: PreparedVolume, segmenter: Segmenter, timings: Timings
) -> Iterator[SliceMask]:
    """Those of boxes on one slice each; a segment's boxes on a slice are asked together."""
    settings, first = each.settings, 0
    drawn = zip(each.numbers, each.boxes, strict=True)
    for (_, index), together in groupby(drawn, lambda d: (d[0], d[1].extent(settings.axis)[0])):
        boxes = [box.plane(settings.axis) for _, box in together]
        answers = segmenter.segment_slice(prepared, index, boxes, settings.detail, timings)
        for item in answers:
            yield replace(item, object=item.object + first)
        first += len(boxes)


def _labels_of(each: Asked) -> list[int]:
    return group_by_label(each.boxes, each.numbers)[0]


def _count(each: Asked) -> int:
    if each.kind in ("live", "deletion"):
        return len(each.boxes)
    _, segments = group_by_label(each.boxes, each.numbers)
    return count_slices(segments, each.settings.axis)
