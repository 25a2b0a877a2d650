"""One segment walked through the volume: coarse steps first, then what lies between them.

Pure decisions: a walk says which boxes it wants answered and is sent the masks. So many segments
walk side by side, and their boxes are decoded together.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace

from napari_medsam_lite.core.segmentation import NOTHING_FOUND
from napari_medsam_lite.engine.look import Corners, corners_of
from napari_medsam_lite.engine.propagation.between import (
    box_between,
    disagreement,
    masks_between,
)
from napari_medsam_lite.engine.propagation.parts import main_parts, parts_near
from napari_medsam_lite.engine.propagation.route import Prompt, Route
from napari_medsam_lite.engine.propagation.slice_mask import SliceMask


@dataclass(frozen=True)
class Round:
    """What a walk wants answered next, and the masks it has finished since the last round."""

    prompts: list[Prompt]
    finished: list[SliceMask]


Walk = Generator[Round, list[SliceMask], None]
"""Yields rounds, and is sent one mask a prompt."""

Gap = tuple[SliceMask, SliceMask]


@dataclass
class _Front:
    """The last mask in one direction, and the box it was asked with."""

    direction: int
    mask: SliceMask
    box: Corners

    def prompt(self, route: Route) -> Prompt | None:
        """The next box in this direction; None at the end."""
        index = self.mask.index
        stop = route.next_stop(index, self.direction)
        if stop is None:
            return None
        drawn = route.drawn_box(stop)
        if drawn is not None:
            return route.prompt(stop, drawn)
        if self.mask.box is not None:
            return route.prompt(stop, route.box_after(self.mask.box, self.box, abs(stop - index)))
        # An empty mask is the end of the object, unless a fence says that it goes on.
        return None if route.fence is None else route.prompt(stop, self.box)


def walk(route: Route) -> Walk:
    """From the middle key slice outwards, each stretch filled before the next is begun."""
    first = route.prompt(route.start, route.keys[route.start])
    (answer,) = yield Round([first], [])
    mask = _settle(route, answer)
    finished, gaps = [mask], list[Gap]()
    fronts = [_Front(direction, mask, first.box) for direction in (1, -1)]
    while True:
        asked = [(front, prompt) for front in fronts if (prompt := front.prompt(route))]
        if not asked:
            break
        answers = yield Round([prompt for _, prompt in asked], finished)
        finished, gaps = [], []
        for (front, prompt), answer in zip(asked, answers, strict=True):
            mask = _settle(route, answer, front.mask)
            finished.append(mask)
            gaps.append((front.mask, mask))
            front.mask, front.box = mask, prompt.box
        finished += yield from _fill(route, gaps, finished)
    yield Round([], finished)


def _fill(
    route: Route, gaps: list[Gap], finished: list[SliceMask]
) -> Generator[Round, list[SliceMask], list[SliceMask]]:
    """The masks between two stops: interpolated, or asked in the middle where they disagree."""
    aspect = route.pixel_mm[0] / route.pixel_mm[1]
    more: list[SliceMask] = []
    while gaps := [gap for gap in gaps if abs(gap[1].index - gap[0].index) > 1 and _any(gap)]:
        asked = []
        for first, second in gaps:
            reason = disagreement(first, second)
            if reason:
                asked.append((first, second, reason, _middle(route, first, second)))
            else:
                more += masks_between(first, second, aspect)
        gaps = []
        if not asked:
            break
        answers = yield Round([prompt for *_, prompt in asked], finished + more)
        finished.clear()
        more = []
        for (first, second, reason, _), answer in zip(asked, answers, strict=True):
            mask = replace(_settle(route, answer, first), reason=reason)
            more.append(mask)
            gaps += [(first, mask), (mask, second)]
    return more


def _any(gap: Gap) -> bool:
    return bool(gap[0].area or gap[1].area)


def _middle(route: Route, first: SliceMask, second: SliceMask) -> Prompt:
    """The box half-way between two masks, of which one may be empty."""
    index = (first.index + second.index) // 2
    drawn = route.drawn_box(index)
    if drawn is not None:
        return route.prompt(index, drawn)
    boxes = [item.box for item in (first, second) if item.box is not None]
    tight = box_between(corners_of(boxes[0]), corners_of(boxes[-1]), 0.5)
    return route.prompt(index, route.around(tight))


def _settle(route: Route, mask: SliceMask, neighbour: SliceMask | None = None) -> SliceMask:
    """The mask as it stays, with a word where the object ends.

    Of a fenced thing it is what lies inside the fence and continues the `neighbour`'s mask.
    """
    if route.fence is not None:
        mask = mask.inside(route.fence)
        mask = parts_near(mask, neighbour) if neighbour else main_parts(mask)
    return mask if mask.area else replace(mask, reason=NOTHING_FOUND)
