"""Where embeddings are kept on disk, and how many bytes: the user's choice, without napari.

napari's preferences are napari's own file, which the command line does not read; so what is chosen
there is written down here too.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from napari_medsam_lite.core.files import cache_folder, make_folder, replacing, settings_folder

GIB = 2**30
OWN_FOLDER = "medsam-lite-embeddings"


@dataclass(frozen=True)
class DiskPlace:
    """What the user chose.

    Parameters
    ----------
    parent : str
        The folder in which ours is made; empty is the user's cache folder. One that is not there,
        as of a network drive that is off, gives way to that too.
    gib : int
        What may be kept there, in GiB.
    """

    parent: str = ""
    gib: int = 10

    @property
    def folder(self) -> Path:
        """Ours alone: what is in it is removed to make room, and cases are ``.npz`` files too."""
        # Not Path.expanduser, which raises for a user that there is not.
        parent = Path.home() / os.path.expanduser(self.parent)  # noqa: PTH111
        return parent / OWN_FOLDER if self.parent and parent.is_dir() else default_folder()

    @property
    def max_bytes(self) -> int:
        """The bound in bytes."""
        return self.gib * GIB


def default_folder() -> Path:
    """``embeddings`` in the user's cache folder."""
    return cache_folder("embeddings")


def disk_place() -> DiskPlace:
    """What was chosen last, as far as it can be read."""
    try:
        held = json.loads(_file().read_text(encoding="utf-8"))
        return DiskPlace(str(held["parent"]), max(int(held["gib"]), 1))
    except (OSError, ValueError, TypeError, KeyError):
        return DiskPlace()


def choose_disk_place(place: DiskPlace) -> None:
    """Keep `place` for this user, for all programs that start or go on.

    Raises
    ------
    FileFormatError
        If the operating system refuses.
    """
    if place != disk_place():
        with replacing(make_folder(settings_folder()) / _file().name) as unfinished:
            unfinished.write_text(json.dumps(asdict(place)), encoding="utf-8")


def _file() -> Path:
    return settings_folder() / "embeddings.json"
