"""Reading without harm: whatever is wrong with a file becomes one sentence."""

from __future__ import annotations

import csv
import pickle
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import psutil
from numpy.typing import NDArray

from napari_medsam_lite.core.errors import FileFormatError

# What numpy, zipfile, gzip, nibabel, csv and json raise for a file that is not what its name says.
_DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    LookupError,
    ArithmeticError,
    RuntimeError,
    SyntaxError,
    csv.Error,
    tokenize.TokenError,
    zlib.error,
    zipfile.BadZipFile,
    pickle.UnpicklingError,
)

_DEFLATE_MOST = 1032
"""How many bytes one byte of a zip or gzip file can stand for at most."""
_DEFLATE_START = 1 << 16
_CHUNK = 1 << 20
_GIB = 1 << 30


@contextmanager
def reading(path: str | Path, what: str, *, folder: bool = False) -> Iterator[None]:
    """Turn what goes wrong while `path` is read as `what` (such as "a NIfTI image") into one error.

    With `folder` it may be a folder.

    Raises
    ------
    FileFormatError
        If the file is missing, may not be read, is cut short, damaged or of another kind.
    """
    try:
        if is_folder(path) and not folder:
            raise FileFormatError(f"{path} is a folder, not {what}.")
        if Path(path).stat().st_size == 0:
            raise FileFormatError(f"{path} is empty (0 bytes), so it is not {what}.")
        # What a damaged header does to the arithmetic is told by the result, not by numpy's lines.
        with np.errstate(all="ignore"):
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
        raise FileFormatError(f"{path} cannot be read as {what}: {_reason(error)}.") from error


def check_size(path: str | Path, claimed: int, stored: int, *, packed: bool) -> None:
    """Compare what a header claims with the bytes that are there, before memory is taken for it.

    Parameters
    ----------
    path : path
        For the message.
    claimed, stored : int
        Bytes that the header speaks of, and bytes in the file.
    packed : bool
        Whether the stored bytes are deflated: then each can stand for about a thousand at most.

    Raises
    ------
    FileFormatError
        If there cannot be as many bytes as the header claims, or they do not fit into memory.
    """
    most = stored * _DEFLATE_MOST + _DEFLATE_START if packed else stored
    if not 0 <= claimed <= most:
        raise FileFormatError(
            f"{path} is cut short or its header is damaged: it speaks of {claimed} bytes, "
            f"but the file holds {'at most ' if packed else ''}{most}."
        )
    check_memory(path, claimed)


def check_memory(path: str | Path, needed: int) -> None:
    """Raise FileFormatError if `path` takes more bytes of memory, once read, than are free."""
    free = psutil.virtual_memory().available
    if needed > free:
        raise FileFormatError(
            f"{path} takes {needed / _GIB:.1f} GiB of memory, but {free / _GIB:.1f} GiB are free; "
            "close other programs, or open a part of it."
        )


def is_folder(path: str | Path) -> bool:
    """Whether `path` is a folder; False too for what the system refuses to look at."""
    try:
        return Path(path).is_dir()
    except OSError:  # too long a name, a folder that may not be entered: told when it is opened
        return False


def read_exactly(stream: BinaryIO, size: int) -> NDArray[np.uint8]:
    """The next `size` bytes; memory fills as they come, never by what a header claims alone.

    Raises
    ------
    EOFError
        If there are fewer.
    """
    content = np.empty(size, np.uint8)  # the system gives pages when they are written to
    filled = 0
    while filled < size:
        count = stream.readinto(content[filled : filled + _CHUNK])  # type: ignore[attr-defined]
        if not count:
            raise EOFError
        filled += count
    return content


def _reason(error: BaseException) -> str:
    text = error.strerror if isinstance(error, OSError) else None
    if isinstance(error, tokenize.TokenError):  # its text has its place too
        text = str(error.args[0])
    lines = (text or str(error)).splitlines()
    return lines[0].rstrip(".") if lines and lines[0] else type(error).__name__
