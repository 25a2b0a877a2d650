"""A worklist: cases done one after the other, those of a folder or of a list."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.io.folders import list_cases, stem
from napari_medsam_lite.io.formats import holds_labels
from napari_medsam_lite.io.guard import is_folder, reading
from napari_medsam_lite.io.work_case import FOLDER, MOST_BYTES, WorkCase


def read_worklist(path: str | Path) -> tuple[WorkCase, ...]:
    """The cases of a folder, sorted by name, or of a list.

    Parameters
    ----------
    path : path
        A folder, see `io.folders.list_cases`; labels files in it are no cases. Or a text file with
        a path a line, relative to the file; what follows ``#`` is left out. There, cases are called
        by their folders too: ``patient1/ct.nii.gz`` is ``patient1_ct``.

    Raises
    ------
    FileFormatError
        If there are no cases, two would have one name, or it cannot be read.
    """
    path = Path(path).absolute()
    if is_folder(path):
        sources = [each for each in list_cases(path) if each.name != FOLDER and _is_image(each)]
        cases = [WorkCase(stem(source), source, path / FOLDER) for source in sources]
    else:
        cases = [WorkCase(_listed_name(row), path.parent / row, path.parent / FOLDER)
                 for row in _rows_of(path)]  # fmt: skip
    if not cases:
        raise FileFormatError(f"{path} names no case.")
    _check_names(cases)
    return tuple(cases)


def _rows_of(path: Path) -> list[str]:
    with reading(path, "a list of cases"):
        if path.stat().st_size > MOST_BYTES:
            raise ValueError("it is over 1 MiB")
        lines = path.read_text("utf-8-sig").splitlines()
    rows = (line.split("#", 1)[0].strip() for line in lines)
    return list(dict.fromkeys(row for row in rows if row))


def _listed_name(row: str) -> str:
    """By its folders too, for cases of several folders are often called alike.

    It depends on nothing but the line, so that a list can grow without a case losing its results.
    """
    path = Path(os.path.normpath(row))
    folders = [part for part in path.parent.parts if part not in ("..", path.anchor)]
    return "_".join((*folders, stem(path)))


def _is_image(path: Path) -> bool:
    """Whether `path` is a case; what is damaged is one, and tells when it is opened."""
    try:
        return is_folder(path) or not holds_labels(path)
    except FileFormatError:
        return True


def _check_names(cases: Iterable[WorkCase]) -> None:
    """Names are files' names, which some systems take for the same in capital letters."""
    alike: dict[str, list[WorkCase]] = defaultdict(list)
    for case in cases:
        alike[case.name.casefold()].append(case)
    for first, *others in alike.values():
        if others:
            names = " and ".join(each.source.name for each in (first, *others))
            raise FileFormatError(
                f"The results of {names} would both be called {first.name}; rename one of them."
            )
