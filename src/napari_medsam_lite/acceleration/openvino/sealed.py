"""Folders whose files are known by their hashes: damage is seen before it is used.

Nothing else would see it. OpenVINO reads a network with flipped bits as if nothing was wrong, and
gives masks that are empty or nonsense; what it compiled has no checksum either.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from napari_medsam_lite.core.files import replacing

MANIFEST = "manifest.json"


def seal(folder: Path, known: Mapping[str, str] | None = None) -> None:
    """Write down the SHA-256 of every file in `folder`, or take it from `known`.

    Raises
    ------
    OSError, FileFormatError
        If a file cannot be read, or the list cannot be written.
    """
    known = known or {}
    files = [path for path in folder.iterdir() if path.is_file() and path.name != MANIFEST]
    digests = {path.name: known.get(path.name) or _sha256(path) for path in files}
    with replacing(folder / MANIFEST) as unfinished:
        unfinished.write_text(json.dumps(digests, indent=1), encoding="utf-8")


def intact(folder: Path) -> dict[str, str]:
    """Name and SHA-256 of the files that are as they were when `folder` was sealed."""
    sealed = _manifest(folder)
    return {name: digest for name, digest in sealed.items() if _is(folder / name, digest)}


def is_intact(folder: Path) -> bool:
    """Whether `folder` was sealed and all of its files are as they were then."""
    sealed = _manifest(folder)
    return bool(sealed) and intact(folder) == sealed


def _manifest(folder: Path) -> dict[str, str]:
    try:
        content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return {str(name): str(digest) for name, digest in content.items()}
    except (OSError, ValueError, AttributeError):
        return {}


def _is(file: Path, digest: str) -> bool:
    try:
        return _sha256(file) == digest
    except (OSError, ValueError):  # ValueError: a damaged name
        return False


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
