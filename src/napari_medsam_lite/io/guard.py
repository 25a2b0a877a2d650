"""Reading without harm: whatever is wrong with a file becomes one sentence."""

from __future__ import annotations

import pickle
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_medsam_lite.core.errors import FileFormatError

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
