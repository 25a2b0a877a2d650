"""A journal of labels: each flush adds the slices that changed; what a kill cuts short is left out.

A slice is kept as it is, not as it differs. So a later one takes the place of an earlier one, and a
journal that has grown is written anew from the latest of each, under another name first: there is
one file, and never a second one that could belong to another moment.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.core.files import make_folder, refusal, replacing
from napari_medsam_lite.io.guard import check_memory, reading
from napari_medsam_lite.io.journal_records import (
    MAGIC,
    Contents,
    Patch,
    Place,
    Slice,
    from_json,
    read_records,
    to_json,
    to_record,
)

USUAL_BYTES = 8 * 2**20
"""Up to this size a journal is not worth to be written anew."""
MOST_GROWTH = 4
"""Beyond it, it is written anew when it is so many times as large as it was then."""


class JournalLostError(FileFormatError):
    """The file is not what was written any more, so everything is to be written again."""


class Journal:
    """Writes one file. For one thread of one process at a time.

    Parameters
    ----------
    file : path
        Made with the first flush, its folder too. What is there already is replaced.
    shape : tuple of int
        Of the labels.
    """

    def __init__(self, file: Path, shape: tuple[int, ...]) -> None:
        self.file, self.shape = file, shape
        self.size = 0
        self._most = USUAL_BYTES

    def append(self, patches: Iterable[Patch], case: dict[str, Any] | None = None) -> None:
        """Flush: when this returns, it is on the disk. Without a `case`, it is as before.

        Raises
        ------
        JournalLostError
            If someone has removed or changed the file: then all slices are to be given again.
        FileFormatError
            If the system refuses; what was flushed before is still there.
        """
        if self.size > self._most:
            self._renew()
        slices = {patch.place: Slice.of(patch) for patch in patches}
        now = datetime.now().astimezone()
        record = to_record(Contents(self.shape, now, from_json(case), slices))
        try:
            if self.size:
                _write_behind(self.file, self.size, record)
            else:
                make_folder(self.file.parent)
                record = MAGIC + record
                _write(self.file, record)
        except FileNotFoundError as error:
            raise self._lost() from error
        except OSError as error:
            raise refusal(self.file, error) from error
        self.size += len(record)

    def discard(self) -> None:
        """Remove the file, for nothing is left that is worth to be restored.

        Raises
        ------
        FileFormatError
            If the system refuses.
        """
        self.size, self._most = 0, USUAL_BYTES
        try:
            self.file.unlink(missing_ok=True)
        except OSError as error:
            raise refusal(self.file, error) from error

    def _renew(self) -> None:
        """Write the latest of each slice only."""
        try:
            contents, end = read_records(self.file)
        except OSError as error:
            raise self._lost() from error
        if contents is None or end != self.size:
            raise self._lost()
        whole = MAGIC + to_record(contents)
        with replacing(self.file) as unfinished:
            _write(unfinished, whole)
        _sync_names(self.file.parent)
        self.size, self._most = len(whole), max(USUAL_BYTES, MOST_GROWTH * len(whole))

    def _lost(self) -> JournalLostError:
        self.size, self._most = 0, USUAL_BYTES
        return JournalLostError(f"{self.file} was removed or changed by another program.")


@dataclass(frozen=True, eq=False)
class Recovered:
    """What a journal holds.

    Attributes
    ----------
    file : path
        The journal.
    shape : tuple of int
        Of the labels.
    when : datetime
        Of the last flush that is whole, local time.
    case : dict
        As given last; empty if it never was.
    """

    file: Path
    shape: tuple[int, ...]
    when: datetime
    case: dict[str, Any]
    _slices: dict[Place, Slice] = field(repr=False)

    def labels(self) -> NDArray[Any]:
        """The labels, in a type that holds all that they had.

        Raises
        ------
        FileFormatError
            If they do not fit into memory, or are not as the journal says.
        """
        kinds = {np.dtype(each.dtype) for each in self._slices.values()}
        whole = self._empty(np.result_type(*kinds) if kinds else np.dtype(np.uint8))
        with reading(self.file, "a journal"):
            for place, each in self._slices.items():
                whole[place] = each.labels_of(whole.shape[-2:])
        return whole

    def painted(self) -> NDArray[np.bool_] | None:
        """The voxels that a person painted; None if there are none. Errors as `labels`."""
        found = {place: each for place, each in self._slices.items() if each.painted}
        if not found:
            return None
        whole = self._empty(np.dtype(bool))
        with reading(self.file, "a journal"):
            for place, each in found.items():
                whole[place] = each.painted_of(whole.shape[-2:])
        return whole

    def _empty(self, dtype: np.dtype[Any]) -> NDArray[Any]:
        check_memory(self.file, math.prod(self.shape) * dtype.itemsize)
        return np.zeros(self.shape, dtype)


def read(file: str | Path) -> Recovered | None:
    """What was flushed; None if nothing was, or none of it can be read.

    The last flush counts that is whole and has none before it that is not.
    """
    file = Path(file)
    try:
        contents, _ = read_records(file)
    except OSError:
        return None
    if contents is None:
        return None
    case = to_json(contents.case)
    return Recovered(file, contents.shape, contents.when, case, contents.slices)


def _write(file: Path, content: bytes) -> None:
    """Write a new file, and wait for the disk."""
    with file.open("wb") as stream:
        _put(stream, content)
    _sync_names(file.parent)


def _write_behind(file: Path, end: int, content: bytes) -> None:
    """Write behind byte `end`, where a flush that the system refused may have left a part."""
    with file.open("r+b") as stream:
        if os.fstat(stream.fileno()).st_size < end:
            raise FileNotFoundError
        stream.seek(end)
        stream.truncate()
        _put(stream, content)


def _put(stream: Any, content: bytes) -> None:
    stream.write(content)
    stream.flush()
    os.fsync(stream.fileno())


def _sync_names(folder: Path) -> None:
    """Have the disk know of a new name in `folder`, where it can be asked for that."""
    if os.name == "posix":
        with suppress(OSError):  # some network disks
            number = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(number)
            finally:
                os.close(number)
