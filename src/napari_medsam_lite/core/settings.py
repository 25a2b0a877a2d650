"""What decides the answer to a box, besides the image and the box: one record for everyone.

The dock takes it down when a button is pressed, the command line makes it from its options, run
files keep it, the batch and the benchmark hand it on. The same record and the same boxes give the
same labels wherever they are run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from napari_medsam_lite.core.errors import MedSAMLiteError

AUTO = "auto"
"""Leaves a choice to the program: window by the image, preset and device by the machine."""

Propagation = Literal["guided", "published"]
"""How masks travel from slice to slice: ours, or as the published script does (for parity)."""

Detail = Literal["auto", "whole", "close"]
"""What the network is shown: whole slices, a close look at each object, or what serves best."""

Step = Literal["auto", "1", "2", "3", "4"]
"""Every how many slices the network is asked; ``"auto"`` takes about `STEP_MM`.

Between two slices that agree, masks are interpolated; where they do not, the network is asked too.
"""

STEP_MM = 6.0
SPACING_ROUNDING = 1e-3

Overlap = Literal["surer", "logit", "keep", "overwrite"]
"""Who keeps a voxel that two labels want.

Of the boxes of one run the one whose mask on the slice has the higher predicted IoU, where one
twice as large must have 0.05 more (``"surer"``), the one with the higher logit at the voxel
(``"logit"``), the earlier one (``"keep"``), or the later one (``"overwrite"``, the published rule).
Labels of others that were there before the run give way only to ``"overwrite"``; what the run's own
labels had is replaced, and until then nobody's.
"""

FORMER_OVERLAPS: dict[str, Overlap] = {"earlier": "keep", "later": "overwrite"}
"""Names of version 0.1 for the same rules, which scripts and run files still hold."""


@dataclass(frozen=True)
class Settings:
    """How boxes become labels.

    Parameters
    ----------
    window : str
        ``"auto"``, a name of `core.window.WINDOWS`, or ``"LEVEL,WIDTH"`` in HU.
    axis : int
        The array axis that slices lie across: 0, 1 or 2.
    preset : str
        ``"auto"``, or a name of `acceleration.presets.PRESETS`.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
    checkpoint : str or None
        The file with the weights; None is the official one.
    propagation : str
        See `Propagation`.
    overlap : str
        See `Overlap`.
    on_disk : bool
        Whether embeddings are kept on disk too. They are rounded to half precision then, so this
        may move single voxels on a border.
    detail : str
        See `Detail`; ``published`` always takes whole slices.
    step : str
        See `Step`; ``published`` asks on every slice.
    """

    window: str = AUTO
    axis: int = 0
    preset: str = AUTO
    device: str = AUTO
    checkpoint: str | None = None
    propagation: Propagation = "guided"
    overlap: Overlap = "surer"
    on_disk: bool = False
    detail: Detail = "auto"
    step: Step = "auto"


def parse_overlap(text: str) -> Overlap:
    """The overlap rule called `text`, also by its former name.

    Raises
    ------
    MedSAMLiteError
        If there is none.
    """
    return _one_of(FORMER_OVERLAPS.get(text, text), Overlap, "overlap rule")  # type: ignore[return-value]


def parse_propagation(text: str) -> Propagation:
    """The way to propagate called `text`; errors as `parse_overlap`."""
    return _one_of(text, Propagation, "propagation")  # type: ignore[return-value]


def parse_detail(text: str) -> Detail:
    """The detail called `text`; errors as `parse_overlap`."""
    return _one_of(text, Detail, "detail")  # type: ignore[return-value]


def parse_step(text: str) -> Step:
    """The step called `text`; errors as `parse_overlap`."""
    return _one_of(text, Step, "step")  # type: ignore[return-value]


def slices_a_step(step: Step, spacing: float) -> int:
    """Every how many slices the network is asked, for slices `spacing` mm apart."""
    if step != AUTO:
        return int(step)
    most = max(int(name) for name in get_args(Step) if name != AUTO)
    return min(max(int(STEP_MM / spacing + SPACING_ROUNDING), 1), most)


def _one_of(name: str, names: Any, what: str) -> str:
    known = get_args(names)
    if name in known:
        return name
    raise MedSAMLiteError(f"There is no {what} '{name}'; choose one of {', '.join(known)}.")
