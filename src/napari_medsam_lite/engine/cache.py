"""Embeddings kept in memory, so that a slice is encoded once however many boxes ask for it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from napari_medsam_lite.engine.embedding_key import EmbeddingKey

if TYPE_CHECKING:
    from napari_medsam_lite.acceleration.backend import Backend
    from napari_medsam_lite.engine.disk_cache import DiskCache

MOST_BYTES = 2 * 2**30
SHARE_OF_FREE = 0.25


class EmbeddingCache:
    """Least-recently-used embeddings, bounded in bytes; safe to use from several threads.

    Parameters
    ----------
    max_bytes : int, optional
        Default: a quarter of the memory that is free where the embeddings are, on the GPU or in the
        computer, at most 2 GiB. It follows what other programs take and give back.
    disk : DiskCache, optional
        A second level: what is kept goes there too, and what is not in memory is looked for there.
    """

    def __init__(self, max_bytes: int | None = None, disk: DiskCache | None = None) -> None:
        self._follows_memory = max_bytes is None
        self.max_bytes = MOST_BYTES if max_bytes is None else max_bytes
        self._disk = disk
        self._entries: OrderedDict[EmbeddingKey, Any] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def disk(self) -> DiskCache | None:
        """The second level; with another one, memory starts anew.

        What is kept on disk is rounded, and what a run gives must not depend on what was in memory
        before it.
        """
        return self._disk

    @disk.setter
    def disk(self, disk: DiskCache | None) -> None:
        with self._lock:
            if disk is not self._disk:
                self._disk = disk
                self._entries.clear()
                self._bytes = 0

    @property
    def nbytes(self) -> int:
        """Bytes held now."""
        return self._bytes

    @property
    def is_full(self) -> bool:
        """Whether one more like those that are here would push one out."""
        with self._lock:
            largest = max((entry.nbytes for entry in self._entries.values()), default=0)
            return self._bytes + largest > self.max_bytes

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: EmbeddingKey) -> bool:
        with self._lock:
            return key in self._entries

    def get(self, key: EmbeddingKey, backend: Backend | None = None) -> Any | None:
        """The embedding, now the most recently used one, or None.

        `backend` is the one that `key` names; without it, the disk is left alone.
        """
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
                return self._entries[key]
            disk = self._disk
        array = None if disk is None or backend is None else disk.get(key)
        if array is None or backend is None:
            return None
        embedding = backend.embedding_from_array(array)
        self._keep(key, embedding, backend, disk)
        return embedding

    def put(self, key: EmbeddingKey, embedding: Any, backend: Backend | None = None) -> Any:
        """Keep `embedding`; the least recently used ones make room. Returns what was kept.

        On disk that is in half precision. It is used from the start, so that a case gives the same
        masks when it is opened again.
        """
        disk = self._disk
        if disk is not None and backend is not None:
            array = backend.embedding_to_array(embedding)
            disk.put(key, array)
            embedding = backend.embedding_from_array(array)
        self._keep(key, embedding, backend, disk)
        return embedding

    def _keep(
        self, key: EmbeddingKey, embedding: Any, backend: Backend | None, disk: DiskCache | None
    ) -> None:
        free = backend.free_memory() if self._follows_memory and backend is not None else None
        with self._lock:
            if disk is not self._disk:  # changed meanwhile: the rounding may be another
                return
            if free is not None:
                # What is held here is no other program's, so it counts as free.
                self.max_bytes = min(MOST_BYTES, int((free + self._bytes) * SHARE_OF_FREE))
            if key in self._entries:
                self._bytes -= self._entries.pop(key).nbytes
            self._entries[key] = embedding
            self._bytes += embedding.nbytes
            while self._bytes > self.max_bytes and len(self._entries) > 1:
                _, oldest = self._entries.popitem(last=False)
                self._bytes -= oldest.nbytes
