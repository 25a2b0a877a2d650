"""The keys that the user changed, in a small file of theirs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.core.files import make_folder, replacing, settings_folder


def keys_file() -> Path:
    """Where the keys are kept for this user."""
    return settings_folder() / "keys.json"


def read_keys(file: Path) -> dict[str, str]:
    """Action -> key, of those that were changed; empty if there is no file.

    Raises
    ------
    FileFormatError
        If the file cannot be read, or is not what `write_keys` writes.
    """
    try:
        held = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        held = None
    if not isinstance(held, dict) or not all(isinstance(key, str) for key in held.values()):
        raise FileFormatError(
            f"The changed keys in {file} cannot be read, so all keys are as at first."
        )
    return held


def write_keys(file: Path, keys: Mapping[str, str]) -> None:
    """Keep `keys`, action -> key.

    Raises
    ------
    FileFormatError
        If the operating system refuses.
    """
    make_folder(file.parent)
    with replacing(file) as unfinished:
        unfinished.write_text(json.dumps(dict(keys), indent=1), encoding="utf-8")
