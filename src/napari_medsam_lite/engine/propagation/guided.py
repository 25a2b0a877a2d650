"""Our way through a volume: all segments walk side by side, answered together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from napari_medsam_lite.core.segmentation import Segment
from napari_medsam_lite.engine.propagation.route import Prompt, Route
from napari_medsam_lite.engine.propagation.slice_mask import SliceMask
from napari_medsam_lite.engine.propagation.walk import walk

Answer = Callable[[list[tuple[int, Prompt]]], Iterator[SliceMask]]
"""Boxes (number, prompt) to one mask each, in their order."""


def propagate(
    segments: Sequence[Segment],
    axis: int,
    step: int,
    pixel_mm: tuple[float, float],
    slice_mm: float,
    answer: Answer,
) -> Iterator[SliceMask]:
    """Masks of all `segments` (clipped to the volume), each slice of each once.

    Parameters
    ----------
    segments : sequence of Segment
        With their boxes.
    axis, step, pixel_mm, slice_mm
        See `route.Route`.
    answer : callable
        The network.
    """
    tracks = [(owner, track) for owner, part in enumerate(segments) for track in part.tracks(axis)]
    walks = [walk(Route(track, axis, step, pixel_mm, slice_mm)) for _, track in tracks]
    rounds = {number: next(walker) for number, walker in enumerate(walks)}
    while rounds:
        for number, now in rounds.items():
            yield from (replace(mask, object=tracks[number][0]) for mask in now.finished)
        rounds = {number: now for number, now in rounds.items() if now.prompts}
        asked = [(number, prompt) for number, now in rounds.items() for prompt in now.prompts]
        # Neighbouring slices together, so that one encoding serves all that need it.
        order = sorted(range(len(asked)), key=lambda place: asked[place][1].index)
        answers = dict(zip(order, answer([asked[place] for place in order]), strict=True))
        sent = {number: list[SliceMask]() for number in rounds}
        for place, (number, _) in enumerate(asked):
            sent[number].append(answers[place])
        rounds = {number: walks[number].send(masks) for number, masks in sent.items()}


def crowd(segments: Sequence[Segment], axis: int) -> Counter[int]:
    """How many segments each slice has."""
    return Counter(
        index
        for first, last in (part.extent(axis) for part in segments)
        for index in range(first, last + 1)
    )
