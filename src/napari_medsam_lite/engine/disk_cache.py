"""Embeddings kept on disk, so that a case opened again needs no encoding.

One ``.npz`` a slice: it appears whole or not at all, and the zip's checksum tells a damaged one. It
is only ever a copy: whatever goes wrong, the slice is encoded.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import zipfile
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.acceleration.code_version import code_version
from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.core.files import replacing
from napari_medsam_lite.engine.disk_place import disk_place

if TYPE_CHECKING:
    from napari_medsam_lite.engine.embedding_key import EmbeddingKey

log = logging.getLogger(__name__)

SUFFIX = ".npz"
FORMER_SUFFIX = ".zarr.zip"
"""Of files that are not read any more; they go as room is made."""
OVERHEAD = 512
"""Bytes of a file besides its array, at most."""
SHARE_TO_CLEAR = 0.05
"""Of the bound, cleared at once when it is reached: looking through the folder takes time."""

CODE = (
    "model/*.py",
    "acceleration/**/*.py",
    "engine/preprocess.py",
    "core/frame.py",
    "core/window.py",
)
"""What decides on an embedding: another version of it does not use what this one kept."""


class DiskCache:
    """Least-recently-used embeddings in a folder, bounded in bytes.

    Safe to use from several threads and processes: an entry is renamed into place when it is
    finished. Nothing is ever unpickled.

    Parameters
    ----------
    folder : path, optional
        Default: what the user chose, see `disk_place`.
    max_bytes : int, optional
        What the folder may hold; default: what the user chose. Several processes that write
        at once may pass it by a twentieth each.
    """

    def __init__(self, folder: str | Path | None = None, max_bytes: int | None = None) -> None:
        chosen = disk_place()
        self.folder = chosen.folder if folder is None else Path(folder)
        self.max_bytes = chosen.max_bytes if max_bytes is None else max_bytes
        self._room = 0
        self._lock = threading.Lock()

    def get(self, key: EmbeddingKey) -> NDArray[np.float16] | None:
        """The array put under `key`, or None if it is not there or damaged."""
        file = self.file(key)
        try:
            array = _read(file)
        except FileNotFoundError:
            return None
        except Exception as error:  # a damaged file makes zipfile and numpy raise all kinds
            log.info("%s cannot be read: %r", file, error)
            return None
        try:
            os.utime(file)
        except OSError:
            log.debug("%s cannot be marked as used", file)
        return array

    def put(self, key: EmbeddingKey, array: NDArray[np.float16]) -> None:
        """Keep `array`; the least recently used ones make room. Where it cannot be, it is not."""
        size = array.nbytes + OVERHEAD
        if size > self.max_bytes:
            return
        file = self.file(key)
        try:
            # For the user alone: the pictures of patients are not far from their embeddings.
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._make_room(size)
            with replacing(file) as unfinished:
                np.savez(unfinished, embedding=array)
        except (OSError, FileFormatError) as error:
            log.info("%s is not kept: %s", file, error)

    def file(self, key: EmbeddingKey) -> Path:
        """Where the array of `key`, a dataclass of plain values, is kept."""
        text = repr((sorted(asdict(key).items()), code_version(*CODE)))
        name = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
        return self.folder / f"{name}{SUFFIX}"

    def _make_room(self, size: int) -> None:
        """Take `size` from the room; where there is none left, look through the folder for more."""
        with self._lock:
            self._room -= size
            if self._room < 0:
                spare = int(self.max_bytes * SHARE_TO_CLEAR)
                self._room = self._clear(self.max_bytes - size - spare) + spare

    def _clear(self, most: int) -> int:
        """Remove the least recently used until at most `most` bytes are left; how many less."""
        files = []
        # What a process that was killed left unfinished is never used, so it goes in its turn.
        for path in (p for end in (SUFFIX, FORMER_SUFFIX) for p in self.folder.glob(f"*{end}*")):
            try:
                status = path.stat()
            except FileNotFoundError:  # another process removed it
                continue
            files.append((status.st_mtime_ns, status.st_size, path))
        left = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            if left <= most:
                break
            path.unlink(missing_ok=True)
            left -= size
        return most - left


def _read(file: Path) -> NDArray[np.float16]:
    """The array of a file.

    Raises
    ------
    Exception
        Of any kind, if the file is damaged; FileNotFoundError, if there is none.
    """
    with zipfile.ZipFile(file) as packed:
        # To its end, because only then is the checksum compared: numpy alone would stop where a
        # damaged header says that the array ends.
        content = packed.read("embedding.npy")
    array: NDArray[np.float16] = np.load(BytesIO(content), allow_pickle=False)
    return array
