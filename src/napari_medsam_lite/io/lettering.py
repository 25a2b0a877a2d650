"""Words on pictures: a legend of names, a scale bar, the number of a slice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from napari_medsam_lite.core.labelset import LabelClass, in_one_line
from napari_medsam_lite.io.drawing import Picture

SIZE, LINE, MARGIN, SWATCH = 13, 22, 8, 12
INK, SHADOW, PAPER = (255, 255, 255), (0, 0, 0), (24, 24, 24)
FONTS = ("DejaVuSans.ttf", "segoeui.ttf", "Arial Unicode.ttf", "Arial.ttf")
BAR_SHARE = 0.3
"""Of a picture's width, what its scale bar takes at most."""
LEGEND_SHARE = 0.5
"""Of a picture's width, what a name takes at most."""
ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"


@cache
def font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The system's lettering with the most scripts; Pillow's own has no more than ASCII."""
    for name in FONTS:
        with suppress(OSError):
            return ImageFont.truetype(name, SIZE)
    return ImageFont.load_default(SIZE)


def write_number(picture: Picture, text: str) -> None:
    """Write `text` into the upper left corner, in place."""
    drawn = Image.fromarray(picture)
    _write(ImageDraw.Draw(drawn), (MARGIN // 2, MARGIN // 2), text)
    picture[...] = np.asarray(drawn)


def draw_scale_bar(picture: Picture, pixels_a_mm: float) -> None:
    """Draw a bar of a round number of mm into the lower right corner, in place."""
    height, width = picture.shape[:2]
    length = round_length(BAR_SHARE * width / pixels_a_mm)
    drawn = Image.fromarray(picture)
    draw = ImageDraw.Draw(drawn)
    right, bottom = width - MARGIN, height - MARGIN
    left = right - max(round(length * pixels_a_mm), 1)
    draw.rectangle((left - 1, bottom - 4, right, bottom), SHADOW)
    draw.rectangle((left, bottom - 3, right - 1, bottom - 1), INK)
    text = f"{length:g} mm"
    start = min((left + right - font().getlength(text)) / 2, width - font().getlength(text) - 4)
    _write(draw, (start, bottom - 6 - SIZE - 4), text)
    picture[...] = np.asarray(drawn)


def round_length(most: float) -> float:
    """The largest of 1, 2 and 5 times a power of ten that is not more than `most`."""
    power = 10.0 ** math.floor(math.log10(most))
    return max(digit * power for digit in (1, 2, 5) if digit * power <= most)


def legend(classes: Sequence[LabelClass], width: int) -> Picture:
    """(H, `width`, 3): each class's colour and name, line under line; no line for no class."""
    places, row, column = [], 0, 0
    for each in classes:
        name = _cut(in_one_line(each).name, width * LEGEND_SHARE - SWATCH - 3 * MARGIN)
        needed = SWATCH + 3 * MARGIN + math.ceil(font().getlength(name))
        if column and column + needed > width:
            row, column = row + 1, 0
        places.append((each, name, MARGIN + column, MARGIN // 2 + row * LINE))
        column += needed
    strip = Image.new("RGB", (width, (row + 1) * LINE + MARGIN if places else 0), PAPER)
    draw = ImageDraw.Draw(strip)
    for each, name, x, y in places:
        top = y + (LINE - SWATCH) // 2
        draw.rectangle((x, top, x + SWATCH - 1, top + SWATCH - 1), each.color)
        draw.text((x + SWATCH + MARGIN, y + LINE / 2), name, INK, font(), anchor="lm")
    return np.array(strip)


def _write(draw: ImageDraw.ImageDraw, place: tuple[float, float], text: str) -> None:
    """White with a dark rim: it is read on air and on bone."""
    draw.text(place, text, INK, font(), stroke_width=2, stroke_fill=SHADOW)


def _cut(name: str, most: float) -> str:
    """`name`, its end left out where it is longer than `most` pixels."""
    if font().getlength(name) <= most:
        return name
    while name and font().getlength(name + ELLIPSIS) > most:
        name = name[:-1]
    return name.rstrip() + ELLIPSIS
