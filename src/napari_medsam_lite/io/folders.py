"""Which cases a folder holds, and what their answers are called."""

from __future__ import annotations

from pathlib import Path

from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.io.dicom_files import find_files
from napari_medsam_lite.io.registry import FORMATS, SUFFIXES

_NAMED = [row for row in FORMATS if not row.in_folders]
_IMAGES = tuple(suffix for row in _NAMED if row.read is not None for suffix in row.suffixes)
_ONLY_LABELS = tuple(suffix for row in _NAMED if row.read is None for suffix in row.suffixes)
_LABELS = tuple(suffix for row in _NAMED if row.write is not None for suffix in row.suffixes)
_ANSWER = ".nii.gz"


def list_cases(folder: str | Path) -> list[Path]:
    """The cases in `folder`, sorted by name: a file each, or a folder of DICOM files each.

    If DICOM files lie in `folder` itself, it is a case; other folders in it are entered for DICOM
    files only.

    Hidden files are left out: macOS keeps ``._ct.nii`` beside ``ct.nii`` on other systems' disks,
    and files that are being written are hidden until they are whole.

    Raises
    ------
    FileFormatError
        If there is none, no such folder, or it may not be read.
    """
    try:
        entries = sorted(Path(folder).iterdir())
        found = [entry for entry in entries if not entry.name.startswith(".") and _is_case(entry)]
        if any(True for _ in find_files(Path(folder), deepest=0)):
            found.insert(0, Path(folder))
    except (FileNotFoundError, NotADirectoryError):
        found = []
    except OSError as error:
        raise FileFormatError(f"The folder {folder} cannot be read: {error.strerror}.") from error
    if not found:
        raise FileFormatError(
            f"{folder} is no folder with files that end with {', '.join(SUFFIXES)}."
        )
    return found


def stem(path: Path) -> str:
    """The name of a case without its suffix."""
    name = path.absolute().name  # the name of "." too
    suffix = next((s for s in SUFFIXES if name.lower().endswith(s) and not path.is_dir()), "")
    return name.removesuffix(name[len(name) - len(suffix) :])


def answer_name(path: Path) -> str:
    """What the labels of a case are called in a folder: as the case, if its format keeps labels."""
    named = path.name.lower().endswith(_LABELS) and not path.is_dir()
    return path.name if named else stem(path) + _ANSWER


def _is_case(path: Path) -> bool:
    if path.is_dir():
        return not path.is_symlink() and any(True for _ in find_files(path))
    name = path.name.lower()
    return name.endswith(_IMAGES) and not name.endswith(_ONLY_LABELS)
