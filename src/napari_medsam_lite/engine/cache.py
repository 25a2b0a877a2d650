"""Embeddings kept in memory, so that a slice is encoded once however many boxes ask for it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import psutil

from napari_medsam_lite.core.window import Limits

MOST_BYTES = 2 * 2**30
SHARE_OF_FREE = 0.25


@dataclass(frozen=True)
class EmbeddingKey:
    """What an embedding depends on."""

    volume: str
    axis: int
    index: int
    limits: Limits
    backend: str


class EmbeddingCache:
    """Least-recently-used embeddings, bounded in bytes; safe to use from several threads.

    Parameters
    ----------
    max_bytes : int, optional
        Default: a quarter of the free memory, at most 2 GiB.
    """

    def __init__(self, max_bytes: int | None = None) -> None:
        if max_bytes is None:
            max_bytes = min(MOST_BYTES, int(psutil.virtual_memory().available * SHARE_OF_FREE))
        self.max_bytes = max_bytes
        self._entries: OrderedDict[EmbeddingKey, Any] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Bytes held now."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: EmbeddingKey) -> bool:
        return key in self._entries

    def get(self, key: EmbeddingKey) -> Any | None:
        """The embedding, now the most recently used one, or None."""
        with self._lock:
            if key not in self._entries:
                return None
            self._entries.move_to_end(key)
            return self._entries[key]

    def put(self, key: EmbeddingKey, embedding: Any) -> None:
        """Keep `embedding`; the least recently used ones make room."""
        with self._lock:
            if key in self._entries:
                self._bytes -= self._entries.pop(key).nbytes
            self._entries[key] = embedding
            self._bytes += embedding.nbytes
            while self._bytes > self.max_bytes and len(self._entries) > 1:
                _, oldest = self._entries.popitem(last=False)
                self._bytes -= oldest.nbytes
