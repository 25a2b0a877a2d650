"""What is measured of each way of prompting."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import mean
from typing import Any

from napari_medsam_lite.benchmark.drawing import Drawing


@dataclass(frozen=True)
class ObjectScore:
    """How well one object, or one slice of it, was found.

    Attributes
    ----------
    name : str
        The object.
    dice : float
        Of its own mask with its truth.
    nsd : float or None
        The same at 2 mm, see `surface_dice`; None for a single slice.
    map_dice, map_nsd : float or None
        Of its part of the label map of all objects; None for a single slice.
    """

    name: str
    dice: float
    nsd: float | None = None
    map_dice: float | None = None
    map_nsd: float | None = None


@dataclass(frozen=True)
class WayScore:
    """One way on one case.

    Attributes
    ----------
    case, way : str
        Their names.
    seconds : float
        From boxes to labels, with the network loaded and nothing encoded before.
    slices_encoded, boxes_decoded : int
        What was computed in them.
    objects : tuple of ObjectScore
        One an object, or one a single slice.
    """

    case: str
    way: str
    seconds: float
    slices_encoded: int
    boxes_decoded: int
    objects: tuple[ObjectScore, ...]


@dataclass
class QualityReport:
    """All that was measured so far.

    Attributes
    ----------
    preset, device, window : str
        As used.
    drawing : Drawing
        How boxes were drawn.
    cases : list of dict
        Of each case its name, shape, spacing, and how many objects it has and are too small.
    scores : list of WayScore
        Each way on each case.
    """

    preset: str
    device: str
    window: str
    drawing: Drawing
    cases: list[dict[str, Any]] = field(default_factory=list)
    scores: list[WayScore] = field(default_factory=list)

    def by_way(self) -> dict[str, list[WayScore]]:
        """Way -> its scores, one a case."""
        found: dict[str, list[WayScore]] = {}
        for score in self.scores:
            found.setdefault(score.way, []).append(score)
        return found


def mean_of(scores: Iterable[WayScore], what: str) -> float | None:
    """Mean of one attribute of `ObjectScore` over all objects; None where there is none."""
    values = [getattr(one, what) for score in scores for one in score.objects]
    known = [value for value in values if value is not None]
    return mean(known) if known else None
