"""From the slices of one DICOM series to a straight, even stack: order, gaps, tilt, and its place.

Nothing is squeezed: where slices do not lie one behind the other at even distances, they are
resampled onto a grid that does, and that is told; where too much would have to be made up, the
stack is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.io.affine import affine_from_lps, spacing_of

if TYPE_CHECKING:
    from napari_medsam_lite.io.dicom_header import Slice

_SAME_PLACE = 0.01  # mm
_UNEVEN = 0.01  # of the distance of slices: less is rounding in the headers
_ASIDE = 0.1  # of a voxel over the whole stack: less is rounding in the headers
_MISSING = 0.05  # of the distance of slices: how near to a whole number of them a gap must be
_MADE_UP = 2  # times the slices that there are
_COARSER = 2  # times the smallest distance of slices


@dataclass(frozen=True, eq=False)
class Stack:
    """Slices in order, the grid they are put on, and its place.

    Parameters
    ----------
    slices : tuple of Slice
        From the first to the last along the normal.
    shape : tuple of int
        (Z, Y, X) of the grid.
    spacing : tuple of float
        (z, y, x) in mm.
    affine : ndarray
        (4, 4) from array index (z, y, x, 1) to RAS millimetres.
    along : ndarray
        (Z,) where each slice of the grid lies among `slices`: 1.5 is in the middle of 1 and 2.
    aside : ndarray
        (N, 2) voxels (y, x) by which each of `slices` lies aside on the grid; 0 if straight.
    notes : tuple of str
        What is uncommon about the stack, and what was done.
    """

    slices: tuple[Slice, ...]
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    affine: NDArray[np.float64]
    along: NDArray[np.float64]
    aside: NDArray[np.float64]
    notes: tuple[str, ...]

    @property
    def as_stored(self) -> bool:
        """Whether the slices are those of the grid, one for one."""
        return np.array_equal(self.along, np.arange(len(self.slices))) and not self.aside.any()


@dataclass
class _Lie:
    """How slices lie: unit vectors (3,) in LPS, the sizes of voxels, distances along the normal."""

    origins: NDArray[np.float64]
    row: NDArray[np.float64]
    column: NDArray[np.float64]
    normal: NDArray[np.float64]
    spacing: tuple[float, float]
    along: NDArray[np.float64]
    notes: list[str] = field(default_factory=list)


def stack_slices(slices: Sequence[Slice]) -> Stack:
    """Put the slices of one series in order and in their place.

    Raises
    ------
    FileFormatError
        If they lie too unevenly.
    """
    first = slices[0]
    spacing = first.spacing or (1.0, 1.0)
    notes = [] if first.spacing else ["It does not say how large its pixels are: 1 mm is taken."]
    if any(s.origin is None for s in slices):
        return _unplaced(slices, spacing, notes)
    ordered, lie = _in_order(slices, spacing)
    step, positions = _grid(ordered, lie, notes)
    aside, cross = _aside(lie, step, len(positions), notes)
    low = np.floor(aside.min(axis=0))
    rows, columns = (first.shape + np.ceil(aside.max(axis=0)) - low).astype(int)
    linear = np.stack([lie.row * spacing[1], lie.column * spacing[0], cross], axis=1)
    affine = affine_from_lps(linear, lie.origins[0] + linear @ (low[1], low[0], 0))
    along = np.arange(len(ordered), dtype=float)
    if positions is not lie.along:
        along = np.interp(positions, lie.along, along)
    return Stack(
        tuple(ordered),
        (len(positions), int(rows), int(columns)),
        (spacing_of(affine)[0], *spacing),
        affine,
        along,
        aside - low,
        tuple(notes),
    )


def distances(slices: Sequence[Slice]) -> NDArray[np.float64]:
    """Where each slice lies along the normal of the first, in mm; NaN where that is not known."""
    first = slices[0]
    if first.rows is None or first.columns is None:
        return np.full(len(slices), np.nan)
    normal = np.cross(first.rows, first.columns)
    return np.array([np.nan if s.origin is None else np.dot(normal, s.origin) for s in slices])


def _in_order(slices: Sequence[Slice], spacing: tuple[float, float]) -> tuple[list[Slice], _Lie]:
    along = distances(slices)
    order = np.argsort(along, kind="stable")
    ordered = [slices[i] for i in order]
    row, column = (np.array(v, float) for v in (slices[0].rows, slices[0].columns))
    origins = np.array([s.origin for s in ordered], float)
    return ordered, _Lie(origins, row, column, np.cross(row, column), spacing, along[order])


def _grid(
    slices: Sequence[Slice], lie: _Lie, notes: list[str]
) -> tuple[float, NDArray[np.float64]]:
    """The distance of the grid's slices and where they lie along the normal, in mm."""
    count = len(slices)
    if count == 1:
        if slices[0].thickness is None:
            notes.append("It does not say how thick its slice is: 1 mm is taken.")
        return slices[0].thickness or 1.0, lie.along
    steps = np.diff(lie.along)
    start, end = lie.along[[0, -1]]
    even = np.linspace(start, end, count)
    step = (end - start) / (count - 1)
    if np.abs(lie.along - even).max() <= max(_SAME_PLACE, _UNEVEN * step):
        return step, lie.along
    usual = float(np.sort(steps)[(count - 2) // 2])  # the lower median: a gap is no step
    wanted = max(round((end - start) / usual) + 1, count)
    step = (end - start) / (wanted - 1)
    if wanted > _MADE_UP * count or step > _COARSER * steps.min():
        raise FileFormatError(
            f"{_place(slices)}: its {count} slices lie {steps.min():.4g} to {steps.max():.4g} mm "
            "apart, so an even stack would be made up or lose some; choose a series without gaps."
        )
    notes.append(_tell_uneven(lie.along, steps, usual, step, wanted))
    positions = start + step * np.arange(wanted)
    positions[-1] = end
    return step, positions


def _tell_uneven(
    along: NDArray[np.float64], steps: NDArray[np.float64], usual: float, step: float, wanted: int
) -> str:
    gaps = np.rint(steps / usual)
    if np.abs(steps / usual - gaps).max() > _MISSING:
        return (
            f"Its {len(along)} slices lie {steps.min():.4g} to {steps.max():.4g} mm apart: they "
            f"are resampled to {wanted} slices, {step:.4g} mm apart."
        )
    first = np.concatenate([[0], np.cumsum(gaps)]).astype(int)
    made = sorted(set(range(wanted)) - set(first.tolist()))
    which = ", ".join(map(str, made))
    if len(made) == 1:
        return f"One slice is missing: slice {which}, counted from 0, is made from its neighbours."
    return (
        f"{len(made)} slices are missing: slices {which}, counted from 0, are made from their "
        "neighbours."
    )


def _aside(
    lie: _Lie, step: float, count: int, notes: list[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """By how many voxels (y, x) slices lie aside, and the grid's step from slice to slice (3,)."""
    straight = lie.normal * step
    moved = lie.origins - lie.origins[0]
    aside = np.stack([moved @ lie.column, moved @ lie.row], axis=1) / lie.spacing
    if np.abs(aside).max() <= _ASIDE:
        if count > 1:  # to the last digit where the headers have it
            straight = moved[-1] / (count - 1)
        return np.zeros_like(aside), straight
    across = np.linalg.norm(moved[-1] - lie.normal * (lie.normal @ moved[-1]))
    angle = np.degrees(np.arctan2(across, abs(lie.normal @ moved[-1])))
    notes.append(
        f"Its slices do not lie straight one behind the other (gantry tilt, {angle:.1f} degrees): "
        "each is moved within its plane, with linear interpolation, so that they do."
    )
    return aside, straight


def _unplaced(slices: Sequence[Slice], spacing: tuple[float, float], notes: list[str]) -> Stack:
    """A stack in the order of the slices' numbers, of a file that does not say where they lie."""
    ordered = tuple(sorted(slices, key=lambda s: s.order))
    step = ordered[0].thickness or 1.0
    notes.append(
        "It does not say where it lies: rows are taken to go from front to back and columns from "
        f"the patient's right to left, slices in their order and {step:.4g} mm apart."
    )
    count = len(ordered)
    size = (step, *spacing)
    return Stack(
        ordered,
        (count, *ordered[0].shape),
        size,
        np.diag([size[0], -size[1], -size[2], 1.0]),
        np.arange(count, dtype=float),
        np.zeros((count, 2)),
        tuple(notes),
    )


def _place(slices: Sequence[Slice]) -> str:
    path = slices[0].path
    return str(path.parent if len({s.path for s in slices}) > 1 else path)
