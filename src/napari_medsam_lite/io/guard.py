"""Reading and writing without harm.

A file that is written appears whole, or the old one stays as it was; whatever goes wrong with a
file becomes one sentence.
"""

from __future__ import annotations

import errno
import pickle
import secrets
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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

# What numpy, zipfile, gzip, nibabel and json raise for a file that is not what its name says.
_DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    OverflowError,
    RuntimeError,
    zlib.error,
    zipfile.BadZipFile,
    pickle.UnpicklingError,
)


@contextmanager
def reading(path: str | Path, what: str) -> Iterator[None]:
    """Turn what goes wrong while `path` is read as `what` (such as "a NIfTI image") into one error.

    Raises
    ------
    FileFormatError
        If the file is missing, may not be read, is cut short, damaged or of another kind.
    """
    try:
        if Path(path).is_dir():
            raise FileFormatError(f"{path} is a folder, not {what}.")
        if Path(path).stat().st_size == 0:
            raise FileFormatError(f"{path} is empty (0 bytes), so it is not {what}.")
        yield
    except FileNotFoundError as error:
        raise FileFormatError(f"{path} does not exist.") from error
    except PermissionError as error:
        raise FileFormatError(f"{path} may not be read: permission is denied.") from error
    except EOFError as error:
        raise FileFormatError(f"{path} is cut short: it ends before its data does.") from error
    except MemoryError as error:
        raise FileFormatError(
            f"{path} asks for more memory than there is; it is too large or its header is damaged."
        ) from error
    except _DAMAGE as error:
        reason = str(error).split("\n")[0].rstrip(".") or type(error).__name__
        raise FileFormatError(f"{path} cannot be read as {what}: {reason}.") from error


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
