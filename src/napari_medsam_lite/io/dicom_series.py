"""Which series a folder or some files hold: grouped, repeats told apart, listed and chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.io.dicom_attributes import parsing
from napari_medsam_lite.io.dicom_header import Slice, read_slices
from napari_medsam_lite.io.dicom_pixels import same_pixels
from napari_medsam_lite.io.dicom_stack import Stack, distances, stack_slices
from napari_medsam_lite.io.guard import reading

_SAME_PLACE = 0.01  # mm
_FEW = 3
_ALIKE = 1e-3  # mm, and of a direction


@dataclass(frozen=True, eq=False)
class Series:
    """The slices of one image, not in order yet, and what was told while they were found."""

    slices: tuple[Slice, ...]
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Modality and series number: nothing that a person has typed."""
        first = self.slices[0]
        return " ".join(filter(None, [first.modality or "image", str(first.number or "")]))

    @property
    def description(self) -> str:
        """What the scanner's user called it, without words that tell who was scanned."""
        return self.slices[0].description

    def stack(self) -> Stack:
        """In order and in place; raises as `stack_slices`.

        Of slices at one place that hold the same image one is kept, and that is told.

        Raises
        ------
        FileFormatError
            If two different images lie at one place.
        """
        kept = _without_copies(self.slices)
        stack = stack_slices(kept)
        copies = len(self.slices) - len(kept)
        told = _told(
            copies, "slice that is there twice is", "slices that are there twice are", "left out"
        )
        return replace(stack, notes=(*told, *stack.notes))


def find_series(files: Sequence[Path]) -> list[Series]:
    """The series of the files, in the order of their numbers; images of two patients never mix.

    Raises
    ------
    FileFormatError
        If one of the files is damaged: which series it belongs to, nobody knows.
    """
    slices: list[Slice] = []
    others = 0
    for file in files:
        with reading(file, "a DICOM file"), parsing():
            found = read_slices(file)
        slices += found
        others += not found
    notes = _told(others, "file that holds no image is", "files that hold no image are", "left out")
    groups = sorted(_groups(slices), key=lambda g: (g[0].number is None, g[0].number or 0))
    return [
        Series(tuple(part), (*_beside(group, groups), *_one_of(len(parts)), *notes))
        for group in groups
        for parts in [_phases(group)]
        for part in parts
    ]


def choose(series: Sequence[Series], wanted: str | None, path: Path) -> Series:
    """The series that is `wanted`: its number in the list, or a part of its description.

    None: the only one, or the only one that is no localizer.

    Raises
    ------
    FileFormatError
        If none or several are meant.
    """
    if not series:
        raise FileFormatError(f"{path} holds no DICOM image.")
    listed = "; ".join(f"{i} {tell(one)}" for i, one in enumerate(series, start=1))
    if wanted is None:
        volumes = with_volumes(series)
        if len(volumes) > 1:
            raise FileFormatError(
                f"{path} holds {len(series)} series; choose one with --series: {listed}."
            )
        return volumes[0]
    if wanted.isdecimal():
        meant = list(series[int(wanted) - 1 : int(wanted)]) if int(wanted) else []
    else:
        meant = [s for s in series if wanted.lower() in f"{s.name} {s.description}".lower()]
    if len(meant) != 1:
        count = "no" if not meant else str(len(meant))
        raise FileFormatError(f"{path} holds {count} series that fit '{wanted}': {listed}.")
    return meant[0]


def with_volumes(series: Sequence[Series]) -> list[Series]:
    """Those of more slices than localizers have; all, if there is none."""
    return [one for one in series if len(one.slices) > _FEW] or list(series)


def tell(series: Series) -> str:
    """A series in a few words."""
    rows, columns = series.slices[0].shape
    quoted = f" '{series.description}'" if series.description else ""
    return f"{series.name}{quoted} ({len(series.slices)} x {rows} x {columns})"


def _groups(slices: Sequence[Slice]) -> list[list[Slice]]:
    groups: list[list[Slice]] = []
    for one in slices:
        for group in reversed(groups):
            if _belong(group[0], one):
                group.append(one)
                break
        else:
            groups.append([one])
    return groups


def _belong(a: Slice, b: Slice) -> bool:
    return (a.series, a.kind) == (b.series, b.kind) and all(
        (x is None) == (y is None)
        and all(abs(p - q) < _ALIKE for p, q in zip(x or (), y or (), strict=True))
        for x, y in ((a.rows, b.rows), (a.columns, b.columns), (a.spacing, b.spacing))
    )


def _phases(slices: list[Slice]) -> list[list[Slice]]:
    """Slices that lie at the same places apart, by what their headers tell apart."""
    if not _repeats(slices):
        return [slices]
    for which in range(len(slices[0].phases)):
        parts: dict[object, list[Slice]] = {}
        for one in slices:
            parts.setdefault(one.phases[which], []).append(one)
        if len(parts) > 1 and not any(map(_repeats, parts.values())):
            return list(parts.values())
    return [slices]


def _without_copies(slices: Sequence[Slice]) -> list[Slice]:
    along = distances(slices)
    kept: list[int] = []
    for index in np.argsort(along, kind="stable").tolist():
        if not kept or not along[index] - along[kept[-1]] < _SAME_PLACE:
            kept.append(index)
        elif not same_pixels(slices[kept[-1]], slices[index]):
            raise FileFormatError(
                f"{slices[index].path.parent} holds different images at one place, and its headers "
                "do not tell them apart; keep the files of one series in a folder of their own."
            )
    return [slices[index] for index in kept]


def _repeats(slices: Sequence[Slice]) -> bool:
    along = np.sort(distances(slices))
    return bool((np.diff(along) < _SAME_PLACE).any())


def _beside(group: list[Slice], groups: Sequence[list[Slice]]) -> list[str]:
    count = sum(len(g) for g in groups if g is not group and g[0].series == group[0].series)
    return _told(
        count,
        "image of the same series is of another size, direction or kind and is",
        "images of the same series are of another size, direction or kind and are",
        "listed apart",
    )


def _one_of(count: int) -> list[str]:
    if count == 1:
        return []
    return [
        f"The series holds {count} volumes at one place (phases or echoes); this is one of them."
    ]


def _told(count: int, one: str, many: str, done: str) -> list[str]:
    return [f"{count} {one if count == 1 else many} {done}."] if count else []
