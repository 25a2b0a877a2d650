"""Our way through a volume: all segments walk side by side, answered together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from napari_medsam_lite.core.segmentation import Segment, extent_of
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
    rounds = [(number, next(walker).prompts) for number, walker in enumerate(walks)]
    while rounds:
        # Neighbouring slices together, so that one encoding serves all that need it; but all of one
        # track at once, so that its masks can be shown, and the run cancelled, before the last is.
        rounds.sort(key=lambda entry: min(prompt.index for prompt in entry[1]))
        answers = answer([(number, prompt) for number, prompts in rounds for prompt in prompts])
        further = []
        for number, prompts in rounds:
            now = walks[number].send(list(islice(answers, len(prompts))))
            yield from (replace(mask, object=tracks[number][0]) for mask in now.finished)
            if now.prompts:
                further.append((number, now.prompts))
        rounds = further


def crowd(segments: Sequence[Segment], axis: int) -> Counter[int]:
    """How many tracks each slice has; each asks for a mask of its own."""
    extents = (extent_of(track, axis) for part in segments for track in part.tracks(axis))
    return Counter(index for first, last in extents for index in range(first, last + 1))
