"""Which files are DICOM; light to import, for all that only looks for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

PREAMBLE, MAGIC = 128, b"DICM"
_DEEPEST = 4  # folders below the one that is named: patient, study, series, and one to spare


def looks_like_dicom(path: Path) -> bool:
    """Whether the file starts as DICOM files do, whatever its name."""
    with path.open("rb") as file:
        return file.read(PREAMBLE + len(MAGIC))[PREAMBLE:] == MAGIC


def find_files(path: Path, deepest: int = _DEEPEST) -> Iterator[Path]:
    """The DICOM files at `path`: itself, or those in the folder and in `deepest` levels below it.

    Links to folders are not followed: they may lead out, or round in a circle.
    """
    if not path.is_dir():
        yield path
        return
    folders = [(path, 0)]
    while folders:
        folder, depth = folders.pop()
        for entry in sorted(folder.iterdir()):
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                if depth < deepest and not entry.is_symlink():
                    folders.append((entry, depth + 1))
            elif entry.is_file() and looks_like_dicom(entry):
                yield entry
