"""The ways of prompting and propagating that are compared: a row each."""

from __future__ import annotations

from dataclasses import dataclass

from napari_medsam_lite.benchmark.drawing import BoxMaker, every, few_slices, largest_slice, one_box
from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.core.settings import Settings

DEFAULTS = Settings()


@dataclass(frozen=True)
class Way:
    """One way.

    Attributes
    ----------
    name : str
        On the command line and in tables.
    drawn : str
        What is drawn for each object, in words.
    boxes : callable
        Draws it.
    settings : Settings
        How the boxes become masks; window, preset and device are not taken from here.
    alone : bool
        Whether each box is a prompt of its own, whose mask is compared on its slice.
    """

    name: str
    drawn: str
    boxes: BoxMaker
    settings: Settings = DEFAULTS
    alone: bool = False


WAYS = (
    Way("published", "one 3D box", one_box, Settings(propagation="published", overlap="overwrite")),
    Way("guided", "one 3D box", one_box),
    Way("largest-slice", "a box on the largest slice, first and last slice", largest_slice),
    Way("per-slice", "a box on every slice", every(1)),
    Way("single-slices", "single slices, a box each", few_slices, alone=True),
)


def find_ways(names: str) -> tuple[Way, ...]:
    """The ways with these names, which commas separate, in the order of `WAYS`.

    Raises
    ------
    MedSAMLiteError
        If there is no way of such a name.
    """
    wanted = {name.strip() for name in names.split(",")}
    known = {way.name for way in WAYS}
    if unknown := sorted(wanted - known):
        raise MedSAMLiteError(
            f"There is no way '{unknown[0]}'; choose from {', '.join(way.name for way in WAYS)}."
        )
    return tuple(way for way in WAYS if way.name in wanted)
