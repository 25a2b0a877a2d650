"""The folder of unsaved work: for each image one folder by its fingerprint, in it one a window.

A window claims its own and writes a journal there; one that nobody holds is work that was left.
"""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from napari_medsam_lite.core.files import make_folder, remove_leftovers, state_folder
from napari_medsam_lite.io.claims import SUFFIX, Claim, Holder, holder
from napari_medsam_lite.io.journal import Journal, Recovered, read

JOURNAL = "journal"
MOST_BYTES = 2 * 2**30
MOST_DAYS = 90
DAY_S = 86_400


@dataclass(frozen=True)
class Workplace:
    """What one window has of one image, from `open_workplace` until it is closed.

    Attributes
    ----------
    claim : Claim
        On the folder.
    journal : Journal
        Of what is done in this window.
    left : tuple of Recovered
        What earlier windows left, the latest first.
    """

    claim: Claim
    journal: Journal
    left: tuple[Recovered, ...]

    @property
    def folder(self) -> Path:
        """Of this window alone."""
        return self.claim.path

    def others(self) -> tuple[Holder, ...]:
        """Who has this image open besides."""
        folders = {_folder_of(file) for file in self.folder.parent.glob(f".*{SUFFIX}")}
        found = (holder(folder) for folder in sorted(folders - {self.folder}))
        return tuple(each for each in found if each is not None)

    def close(self) -> None:
        """Let go; a journal that is there stays for the next window."""
        with suppress(OSError):  # there is something in it
            self.folder.rmdir()
        self.claim.release()
        with suppress(OSError):
            self.folder.parent.rmdir()


def open_workplace(
    fingerprint: str, shape: tuple[int, ...], root: str | Path | None = None
) -> Workplace:
    """Claim a folder for a window that shows an image, and look for what was left.

    Parameters
    ----------
    fingerprint : str
        Of the image's voxels.
    shape : tuple of int
        Of its labels; what was left of labels of another shape is not shown.
    root : path, optional
        Default: `default_root`.

    Raises
    ------
    FileFormatError
        If the operating system refuses.
    """
    root = default_root() if root is None else Path(root)
    # For the user alone: outlines are of patients too.
    with suppress(OSError):
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = make_folder(root / fingerprint)
    left = [found for path in _unheld(folder) if (found := read(path / JOURNAL)) is not None]
    claim = _claimed(folder)
    left = sorted((each for each in left if each.shape == shape), key=lambda each: each.when)
    return Workplace(claim, Journal(claim.path / JOURNAL, shape), tuple(left[::-1]))


def default_root() -> Path:
    """``autosave`` in the user's state folder."""
    return state_folder("autosave")


def discard(work: Recovered) -> None:
    """Remove what was left, for good; what cannot be removed stays."""
    folder = work.file.parent
    if holder(folder) is None:
        shutil.rmtree(folder, ignore_errors=True)


def tidy(root: str | Path | None = None, most_bytes: int = MOST_BYTES) -> None:
    """Remove the oldest of what was left, until all is small enough, and what is very old."""
    root = default_root() if root is None else Path(root)
    oldest_first = sorted(
        (status.st_mtime, status.st_size, file)
        for file in root.glob(f"*/*/{JOURNAL}")
        if (status := _status(file)) is not None
    )
    total = sum(size for _, size, _ in oldest_first)
    for when, size, file in oldest_first:
        too_old = time.time() - when > MOST_DAYS * DAY_S
        if (too_old or total > most_bytes) and holder(file.parent) is None:
            shutil.rmtree(file.parent, ignore_errors=True)
            total -= size
    _remove_empty(root)


def _status(file: Path) -> os.stat_result | None:
    try:
        return file.stat()
    except OSError:  # another window removed it
        return None


def _claimed(folder: Path) -> Claim:
    """A new folder in `folder`, held; its first flush makes it."""
    for number in count(1):
        path = folder / str(number)
        if path.exists():
            continue
        claim = Claim.take(path)
        if isinstance(claim, Claim):
            if not path.exists():
                return claim
            claim.release()
    raise AssertionError("numbers do not end")


def _unheld(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir() and holder(path) is None]


def _folder_of(claim_file: Path) -> Path:
    """The folder that a claim's file ``.FOLDER.NUMBER.medsam-lock`` is on."""
    return claim_file.with_name(claim_file.name[1 : -len(SUFFIX)].rpartition(".")[0])


def _remove_empty(root: Path) -> None:
    """Remove what killed processes left besides journals."""
    for image in root.iterdir():
        if not image.is_dir():
            continue
        for folder in _unheld(image):
            remove_leftovers(folder)
            with suppress(OSError):  # it holds a journal
                folder.rmdir()
        for file in image.glob(f".*{SUFFIX}"):
            claim = Claim.take(_folder_of(file))  # which replaces a stale one
            if isinstance(claim, Claim):
                claim.release()
        with suppress(OSError):
            image.rmdir()
