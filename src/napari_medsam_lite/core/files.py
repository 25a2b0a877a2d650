"""Writing without harm, and the one place for what can be made again.

A file that is written appears whole, or the old one stays as it was; what the system refuses
becomes one sentence.
"""

from __future__ import annotations

import errno
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
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
}


def cache_folder(name: str) -> Path:
    """The user's folder for `name`: what is in it can be deleted at any time. It is not made."""
    return Path(platformdirs.user_cache_dir("napari-medsam-lite", appauthor=False), name)


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; what is written there takes its place at the end.

    The temporary name ends as `path` does, in small letters, so that writers that look at the
    suffix are content.
    If the block fails, the temporary file is removed and `path` is as before.

    Raises
    ------
    FileFormatError
        If the operating system refuses (no space, no permission, no such folder, ...).
    """
    # Through links, so that the file a link points to is replaced and the link stays.
    target = Path(path).resolve()
    temporary = target.with_name(f".{secrets.token_hex(4)}.{target.name.lower()}")
    try:
        if target.is_dir():
            raise OSError(errno.EISDIR, "is a folder")
        yield temporary
        temporary.replace(target)
    except OSError as error:
        raise FileFormatError(f"{path} cannot be written: {_advice(error)}.") from error
    finally:
        _remove(temporary)


def _advice(error: OSError) -> str:
    text = str(error.strerror or error).rstrip(".")
    return _ADVICE.get(error.errno or 0, f"the system says '{text}'; choose another file")


def _remove(path: Path) -> None:
    """Remove `path` if it can be: a failed clean-up must not hide why the writing failed."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return


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
