"""Embeddings kept on disk, so that a case opened again needs no encoding.

One file a slice, a zarr array (format 3) in a zip: it appears whole or not at all, and the zip's
checksums tell a damaged one. It is only ever a copy: whatever goes wrong, the slice is encoded.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import uuid
import zipfile
from dataclasses import asdict
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite import __version__
from napari_medsam_lite.core.errors import BackendUnavailableError
from napari_medsam_lite.core.files import cache_folder

if TYPE_CHECKING:
    from napari_medsam_lite.engine.embedding_key import EmbeddingKey

log = logging.getLogger(__name__)

MAX_BYTES = 10 * 2**30
SUFFIX = ".zarr.zip"
OVERHEAD = 2048
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


class DiskCache:
    """Least-recently-used embeddings in a folder, bounded in bytes.

    Safe to use from several threads and processes: an entry is renamed into place when it is
    finished. Nothing is ever unpickled.

    Parameters
    ----------
    folder : path, optional
        Default: ``embeddings`` in the user's cache folder.
    max_bytes : int
        What the folder may hold. Several processes that write at once may pass it by a twentieth
        each.

    Raises
    ------
    BackendUnavailableError
        If zarr is not installed.
    """

    def __init__(self, folder: str | Path | None = None, max_bytes: int = MAX_BYTES) -> None:
        check_zarr()
        self.folder = default_folder() if folder is None else Path(folder)
        self.max_bytes = max_bytes
        self._room = 0
        self._lock = threading.Lock()

    def get(self, key: EmbeddingKey) -> NDArray[np.float16] | None:
        """The array put under `key`, or None if it is not there or damaged."""
        file = self.file(key)
        try:
            array = _unpack(file)
        except FileNotFoundError:
            return None
        except Exception as error:  # a damaged file makes zipfile and zarr raise all kinds
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
        unfinished = file.with_name(f"{file.name}.{uuid.uuid4().hex}")
        try:
            # For the user alone: the pictures of patients are not far from their embeddings.
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._make_room(size)
            try:
                _pack(unfinished, array, key)
                unfinished.replace(file)
            finally:
                unfinished.unlink(missing_ok=True)
        except OSError as error:
            log.info("%s is not kept: %s", file, error)

    def file(self, key: EmbeddingKey) -> Path:
        """Where the array of `key` is kept: a name for the case, and the slice's number."""
        case = asdict(key) | {"code": code_version()}
        name = hashlib.blake2b(repr(sorted(case.items())).encode(), digest_size=16).hexdigest()
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
        for path in self.folder.glob(f"*{SUFFIX}*"):
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


def default_folder() -> Path:
    """``embeddings`` in the user's cache folder."""
    return cache_folder("embeddings")


def check_zarr() -> None:
    """Raise BackendUnavailableError unless zarr 3 or newer is installed."""
    try:
        version = metadata.version("zarr")
    except metadata.PackageNotFoundError:
        version = "0"
    if int(version.split(".")[0]) < 3:
        raise BackendUnavailableError(
            "Keeping embeddings on disk needs the package zarr, version 3: "
            "pip install 'napari-medsam-lite[disk-cache]'."
        )


@cache
def code_version() -> str:
    """Names the code that decides on an embedding: another one does not use what this one kept."""
    digest = hashlib.blake2b(__version__.encode(), digest_size=8)
    package = Path(__file__).parents[1]
    for pattern in CODE:
        for file in sorted(package.glob(pattern)):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _pack(file: Path, array: NDArray[np.float16], key: EmbeddingKey) -> None:
    """Write a zip that zarr can open, not compressed: an embedding would shrink by 6 %."""
    import zarr
    from zarr.storage import MemoryStore

    parts: dict[str, Any] = {}
    zarr.create_array(
        MemoryStore(parts),
        data=array,
        chunks=array.shape,
        compressors=None,
        fill_value=np.nan,
        attributes=asdict(key),
    )
    with zipfile.ZipFile(file, "w") as packed:
        for name, part in parts.items():
            packed.writestr(name, part.to_bytes())


def _unpack(file: Path) -> NDArray[np.float16]:
    """The array of a zip; reading a part to its end compares its checksum.

    Raises
    ------
    Exception
        Of any kind, if the zip is damaged; FileNotFoundError, if there is none.
    """
    with zipfile.ZipFile(file) as packed:
        contents = {name: packed.read(name) for name in packed.namelist()}
    import zarr
    from zarr.core.buffer import cpu
    from zarr.storage import MemoryStore

    parts: dict[str, Any] = {n: cpu.Buffer.from_bytes(part) for n, part in contents.items()}
    array: NDArray[np.float16] = zarr.open_array(MemoryStore(parts), mode="r")[...]
    # zarr takes a part that is missing for one of fill values only.
    if np.isnan(array).any():
        raise ValueError("a part is missing")
    return array
