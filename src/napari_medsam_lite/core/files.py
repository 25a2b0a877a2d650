"""Writing without harm, and the one place for what can be made again.

A file that is written appears whole, or the old one stays as it was; what the system refuses
becomes one sentence.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import platformdirs

from napari_medsam_lite.core.errors import FileFormatError

_ADVICE = {
    errno.ENOSPC: "the disk is full; free some space or choose another folder",
    errno.EDQUOT: "your quota is used up; free some space or choose another folder",
    errno.EACCES: "permission is denied; choose a folder that you may write to",
    errno.EPERM: "permission is denied; choose a folder that you may write to",
    errno.EROFS: "the disk is read-only; choose another folder",
    errno.ENOENT: "its folder does not exist; create it first",
    errno.ENOTDIR: "its folder is not a folder; choose another one",
    errno.EISDIR: "a folder has that name; choose another name",
    errno.ENAMETOOLONG: "its name is too long; choose a shorter one",
    errno.ELOOP: "links lead round in a circle there; choose another name",
}
_PREFIX = ".medsam-lite-"
_TEMPORARY = re.compile(re.escape(_PREFIX) + r"([0-9a-f]{8})-(\d+)-[0-9a-f]{8}\.")
_TAIL = 16
"""How much of a name its temporary one ends with: every suffix, and never too long a name."""


def cache_folder(name: str) -> Path:
    """The user's folder for `name`: what is in it can be deleted at any time. It is not made."""
    return Path(platformdirs.user_cache_dir("napari-medsam-lite", appauthor=False), name)


def settings_folder() -> Path:
    """The user's folder for what they chose and would miss. It is not made."""
    return Path(platformdirs.user_config_dir("napari-medsam-lite", appauthor=False))


def state_folder(name: str) -> Path:
    """The user's folder for what one session leaves to the next under `name`. It is not made."""
    return Path(platformdirs.user_state_dir("napari-medsam-lite", appauthor=False), name)


@contextmanager
def replacing(path: str | Path, *, overwrite: bool = True) -> Iterator[Path]:
    """Give a temporary path beside `path`; what is written there takes its place at the end.

    The temporary name ends as `path` does, in small letters, so that writers that look at the
    suffix are content.
    If the block fails, the temporary file is removed and `path` is as before.

    Raises
    ------
    FileFormatError
        If the operating system refuses (no space, no permission, no such folder, ...), or, unless
        `overwrite`, if another file has the name by the end.
    """
    temporary: Path | None = None
    try:
        target = _target(path, overwrite=overwrite)
        temporary = _temporary(target.parent, target.name)
        yield temporary
        if overwrite:
            temporary.replace(target)
        else:
            _give_new_name(temporary, target)
    except OSError as error:
        raise refusal(path, error) from error
    finally:
        if temporary is not None:
            _remove(temporary)


def check_writable(path: str | Path) -> None:
    """Ask the system whether `replacing` will be able to write `path`, before the work is done.

    Folders that are missing are not made; then it is asked of the first one that is there.

    Raises
    ------
    FileFormatError
        As `replacing`.
    """
    try:
        target = _target(path, overwrite=True)
        folder = target.parent
        while not folder.exists():
            folder = folder.parent
        # Tried for once: permission bits do not tell of full, read-only and network disks.
        probe = _temporary(folder, target.name)
        try:
            probe.touch(exist_ok=False)
        finally:
            _remove(probe)
    except OSError as error:
        raise refusal(path, error) from error


def make_folder(path: str | Path) -> Path:
    """The folder `path`, made if it is not there.

    Raises
    ------
    FileFormatError
        If the operating system refuses.
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileFormatError(f"The folder {path} cannot be made: {_advice(error)}.") from error
    return Path(path)


def identity_of(path: str | Path) -> tuple[object, ...]:
    """What is equal for two names that lead to one file, also through links of any kind."""
    try:
        found = os.stat(path)  # noqa: PTH116 - a path may be a str
    except OSError:  # not there yet
        return (os.path.realpath(path),)
    return found.st_dev, found.st_ino


def is_there(path: str | Path) -> bool:
    """Whether there is such a file; no for what cannot be, such as too long a name."""
    return os.path.exists(path)  # noqa: PTH110 - Path.exists raises for those


def remove_leftovers(folder: str | Path) -> None:
    """Remove the temporary files of `replacing` in `folder` that a killed process left there.

    Only those of processes of this machine that are no longer alive; what cannot be removed stays.
    """
    import psutil

    try:
        names = os.listdir(folder)  # noqa: PTH208 - names are enough
    except OSError:
        return
    for name in names:
        found = _TEMPORARY.match(name)
        if found and found[1] == this_machine() and not psutil.pid_exists(int(found[2])):
            _remove(Path(folder, name))


@cache
def this_machine() -> str:
    """What tells this machine's process numbers from those of others that share its disks."""
    name = socket.gethostname()
    with suppress(OSError):  # containers may share a host's name and count processes on their own
        name += os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - no file: the link is the answer
    return hashlib.blake2b(name.encode(), digest_size=4).hexdigest()


def refusal(path: str | Path, error: OSError) -> FileFormatError:
    """Why `path` cannot be written, in one sentence."""
    if error.errno == errno.EEXIST:
        return FileFormatError(f"{path} is there already; choose another name.")
    return FileFormatError(f"{path} cannot be written: {_advice(error)}.")


def _target(path: str | Path, *, overwrite: bool) -> Path:
    """The file that a link at `path` leads to, so that it is replaced and the link stays."""
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    if target.is_dir():
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    if target.exists() and not overwrite:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    return target


def _temporary(folder: Path, name: str) -> Path:
    """A name of our own that tells whose it is; hidden, so that no folder of cases lists it."""
    start = f"{_PREFIX}{this_machine()}-{os.getpid()}-{secrets.token_hex(4)}."
    return folder / (start + name.lower()[-_TAIL:])


def _give_new_name(temporary: Path, target: Path) -> None:
    """Give a finished file its name; of several writers at once, one succeeds.

    A look at the name before cannot promise that, and `replace` would let the last one win. A hard
    link is made only where nothing has the name.
    """
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:
        # No hard links on this disk (exFAT, some network ones): reserve the name, then fill it.
        target.touch(exist_ok=False)
        try:
            temporary.replace(target)
        except OSError:
            _remove(target)
            raise


def _advice(error: OSError) -> str:
    text = str(error.strerror or error).rstrip(".")
    return _ADVICE.get(error.errno or 0, f"the system says '{text}'; choose another file")


def _remove(path: Path) -> None:
    """Remove `path` if it can be: a failed clean-up must not hide why the writing failed."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return
