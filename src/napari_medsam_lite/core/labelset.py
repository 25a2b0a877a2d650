"""What labels stand for: names, colours and codes, and the sets of them that are built in."""

from __future__ import annotations

import colorsys
import csv
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib.resources import files

Color = tuple[int, int, int]
"""Red, green, blue in 0..255 (sRGB)."""

# Okabe and Ito's colours, which also people who are colour-blind can tell apart; without black,
# which is lost on CT.
_OKABE_ITO: tuple[Color, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
# Steps of the R3 sequence, the golden ratio of three dimensions: hue, lightness and saturation of
# neighbours lie far apart however many there are, so no two depend on the hue alone.
_STEPS = (0.8191725134, 0.6710436067, 0.5497004779)
# Where the sequence begins: of the first 6000 places the one whose colours 8 to 13 differ most from
# each other and from the seven, in CIELAB and as protanopes and deuteranopes see them (14.5 apart).
_START = 2423
_NO_TEXT = ("Cc", "Cn", "Co", "Cs")
_LIGHTNESS, _SATURATION = (0.33, 0.75), (0.65, 1.0)


@dataclass(frozen=True)
class Code:
    """A term of a coding scheme, as DICOM keeps them.

    Attributes
    ----------
    scheme : str
        "SCT" for SNOMED CT.
    value, meaning : str
        The code, and what it stands for in words.
    modifier : Code, optional
        What narrows it down, such as the side of the body.
    """

    scheme: str
    value: str
    meaning: str
    modifier: Code | None = None


@dataclass(frozen=True)
class LabelClass:
    """What one label number stands for.

    Attributes
    ----------
    number : int
        The voxels' value; 0 is background and has no class.
    name : str
        For people.
    color : tuple of int
        See `Color`.
    code : Code, optional
        The anatomy, for machines.
    """

    number: int
    name: str
    color: Color
    code: Code | None = None


@dataclass(frozen=True)
class LabelSet:
    """Classes to choose from.

    Attributes
    ----------
    name : str
        For people.
    classes : tuple of LabelClass
        In the order in which they are offered.
    """

    name: str
    classes: tuple[LabelClass, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the classes, in their order."""
        return tuple(each.name for each in self.classes)

    def named(self, name: str) -> LabelClass | None:
        """The class of that name; case does not count, and spaces, "_" and "-" are alike."""
        wanted = _plain(name)
        return next((each for each in self.classes if _plain(each.name) == wanted), None)


def color_of(number: int) -> Color:
    """The colour of a label that has no class: the same one each time.

    The first seven are Okabe and Ito's; none is near black, white or grey.

    Parameters
    ----------
    number : int
        1 or more.
    """
    if 1 <= number <= len(_OKABE_ITO):
        return _OKABE_ITO[number - 1]
    hue, light, full = ((_START + number) * step % 1 for step in _STEPS)
    lightness, saturation = (
        low + share * (high - low)
        for share, (low, high) in ((light, _LIGHTNESS), (full, _SATURATION))
    )
    red, green, blue = colorsys.hls_to_rgb(hue, lightness, saturation)
    return round(red * 255), round(green * 255), round(blue * 255)


def class_named(number: int, name: str) -> LabelClass:
    """A class of that name, with its number's colour and, if a built-in set has it, its code."""
    known = next(filter(None, (each.named(name) for each in BUILT_IN.values())), None)
    return LabelClass(number, name, color_of(number), known.code if known else None)


def in_one_line(each: LabelClass) -> LabelClass:
    """The class with a name that any file can hold: one line, no control characters, not empty."""
    kept = (c for c in " ".join(each.name.split()) if unicodedata.category(c) not in _NO_TEXT)
    name = " ".join("".join(kept).split()) or f"label {each.number}"
    return each if name == each.name else replace(each, name=name)


def _plain(name: str) -> str:
    return " ".join(re.split(r"[\s_-]+", name.strip(" _-"))).casefold()


def _total_segmentator() -> LabelSet:
    """The 117 classes of TotalSegmentator's task ``total`` (version 2), numbered as there."""
    sides = {"left": Code("SCT", "7771000", "Left"), "right": Code("SCT", "24028007", "Right")}
    table = files(__package__).joinpath("totalsegmentator.csv").read_text(encoding="utf-8")
    classes = []
    for row in csv.DictReader(table.splitlines()):
        code = Code("SCT", row["code"], row["meaning"], sides.get(row["side"]))
        number = int(row["number"])
        classes.append(
            LabelClass(number, row["name"], color_of(number), code if code.value else None)
        )
    return LabelSet("TotalSegmentator", tuple(classes))


def _flare(total: LabelSet) -> LabelSet:
    """The 13 organs of the FLARE22 challenge, numbered as there, with the codes of `total`."""
    organs = {
        "liver": "liver",
        "right kidney": "kidney_right",
        "spleen": "spleen",
        "pancreas": "pancreas",
        "aorta": "aorta",
        "inferior vena cava": "inferior_vena_cava",
        "right adrenal gland": "adrenal_gland_right",
        "left adrenal gland": "adrenal_gland_left",
        "gallbladder": "gallbladder",
        "esophagus": "esophagus",
        "stomach": "stomach",
        "duodenum": "duodenum",
        "left kidney": "kidney_left",
    }
    codes = {each.name: each.code for each in total.classes}
    return LabelSet(
        "abdomen",
        tuple(
            LabelClass(number, name, color_of(number), codes[there])
            for number, (name, there) in enumerate(organs.items(), start=1)
        ),
    )


def _by_name(sets: Iterable[LabelSet]) -> dict[str, LabelSet]:
    return {each.name: each for each in sets}


_TOTAL = _total_segmentator()
BUILT_IN: dict[str, LabelSet] = _by_name((_TOTAL, _flare(_TOTAL), LabelSet("free")))
"""Sets that come with this package, by name; "free" holds none."""
