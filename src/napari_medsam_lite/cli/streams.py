"""What a command says: plain lines on standard output, one sentence on standard error."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from napari_medsam_lite.core.errors import MedSAMLiteError


def one_line(text: object) -> str:
    """The text without line breaks: file names may hold some."""
    return " ".join(str(text).splitlines())


def tell(sentence: str) -> None:
    """Print a sentence on standard error, in one line."""
    print(one_line(sentence), file=sys.stderr)


def quieten_libraries() -> None:
    """Keep numpy's remark on old files off standard error, where one sentence goes.

    For the whole process: the filters are not made for changes while other threads run.
    """
    warnings.filterwarnings("ignore", message="Reading `.npy`")


@contextmanager
def printing() -> Iterator[None]:
    """Let what is printed inside reach standard output, or tell why it could not.

    Raises
    ------
    MedSAMLiteError
        If the disk that standard output goes to is full, or the like.
    BrokenPipeError
        If nobody reads it any more.
    """
    # A name of another encoding is better shown with escapes than not at all.
    with suppress(AttributeError):
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        _forget_the_rest()
        raise
    except OSError as error:
        _forget_the_rest()
        where = f" of {error.filename}" if error.filename else ""
        raise MedSAMLiteError(f"The system says '{error.strerror or error}'{where}.") from error


def _forget_the_rest() -> None:
    """Send what is still unwritten nowhere, or Python fails with it again at its end."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
