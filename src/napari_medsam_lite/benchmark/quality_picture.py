"""The picture of a quality measurement: Dice over seconds, a numbered dot a way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from napari_medsam_lite.benchmark.scores import QualityReport, mean_of

WIDTH, HEIGHT, LINE = 960, 480, 22
LEFT, TOP, RIGHT, BOTTOM = 60, 50, 620, 420
DOT = 11
INK, PAPER, GRID, BLUE = "#1a202c", "#ffffff", "#e2e8f0", "#2b6cb0"


class Point(NamedTuple):
    """Where a way stands."""

    way: str
    seconds: float
    dice: float


def to_picture(report: QualityReport) -> Image.Image:
    """Mean Dice of the objects' own masks over the seconds of all cases (logarithmic).

    Ways that prompt single slices are left out: theirs is another Dice.
    """
    points = [
        Point(way, sum(score.seconds for score in scores), mean_of(scores, "dice") or 0.0)
        for way, scores in report.by_way().items()
        if mean_of(scores, "nsd") is not None
    ]
    picture = Image.new("RGB", (WIDTH, max(HEIGHT, TOP + LINE * (len(points) + 1))), PAPER)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(15)
    draw.text((LEFT, 14), "Mean Dice over seconds", INK, font)
    if points:
        _plot(draw, points)
    return picture


def _plot(draw: ImageDraw.ImageDraw, points: Sequence[Point]) -> None:
    font, small = ImageFont.load_default(15), ImageFont.load_default(12)
    lowest = math.floor(10 * min(point.dice for point in points)) / 10
    seconds = [max(point.seconds, 1e-3) for point in points]
    first, last = math.log10(min(seconds) / 1.5), math.log10(max(seconds) * 1.5)

    def x(value: float) -> float:
        return LEFT + (RIGHT - LEFT) * (math.log10(max(value, 1e-3)) - first) / (last - first)

    def y(value: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * (value - lowest) / max(1 - lowest, 0.1)

    for tenth in range(round(10 * lowest), 11):
        draw.line((LEFT, y(tenth / 10), RIGHT, y(tenth / 10)), GRID)
        draw.text((LEFT - 30, y(tenth / 10) - 8), f"{tenth / 10:.1f}", INK, small)
    for tick in _ticks(first, last):
        draw.line((x(tick), TOP, x(tick), BOTTOM), GRID)
        draw.text((x(tick) - 6, BOTTOM + 6), f"{tick:g}", INK, small)
    draw.text((RIGHT - 60, BOTTOM + 24), "seconds", INK, font)
    for place, point in enumerate(points, start=1):
        cx, cy = x(point.seconds), y(point.dice)
        draw.ellipse((cx - DOT, cy - DOT, cx + DOT, cy + DOT), BLUE, PAPER)
        draw.text((cx, cy), str(place), PAPER, small, anchor="mm")
        told = f"{place}  {point.way}: {point.dice:.3f}, {point.seconds:.1f} s"
        draw.text((RIGHT + 30, TOP + LINE * (place - 1)), told, INK, font)


def _ticks(first: float, last: float) -> list[float]:
    """1, 2 and 5 times the powers of ten between 10^first and 10^last."""
    powers = range(math.floor(first), math.ceil(last) + 1)
    found = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
    return [tick for tick in found if 10**first <= tick <= 10**last]
