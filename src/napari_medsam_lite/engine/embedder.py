"""Embedder: looks to embeddings, each encoded once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from napari_medsam_lite.acceleration.backend import Embedding
from napari_medsam_lite.core.errors import Interrupted
from napari_medsam_lite.engine.cache import EmbeddingCache
from napari_medsam_lite.engine.embedding_key import EmbeddingKey
from napari_medsam_lite.engine.lazy_backend import LazyBackend
from napari_medsam_lite.engine.look import Corners, Look
from napari_medsam_lite.engine.prepared import PreparedVolume
from napari_medsam_lite.engine.recent import RecentLooks
from napari_medsam_lite.engine.timings import Timings

IMAGE_BATCH = 4


class Embedder:
    """Encodes what is not in the cache.

    Parameters
    ----------
    backend : LazyBackend
        The encoder.
    cache : EmbeddingCache
        Where embeddings are kept.
    """

    def __init__(self, backend: LazyBackend, cache: EmbeddingCache) -> None:
        self._backend, self.cache = backend, cache
        self._recent = RecentLooks()

    def embed(
        self,
        prepared: PreparedVolume,
        looks: Sequence[Look],
        timings: Timings | None = None,
        unwanted: Callable[[], bool] = lambda: False,
    ) -> list[Embedding]:
        """The embeddings of `looks`, encoded now unless they are in the cache.

        Raises
        ------
        Interrupted
            If they are `unwanted` by the time that they would be encoded.
        """
        timings = timings or Timings()
        with timings.stage("load"):
            backend = self._backend.load()
        with timings.stage("cache"):
            keys = {look: self._key(prepared, look) for look in looks}
            found = {look: self.cache.get(key, backend) for look, key in keys.items()}
        missing = sorted(
            (look for look, embedding in found.items() if embedding is None),
            key=lambda look: (look.frame.side, look.index),
        )
        for batch in _batches(missing):
            with timings.stage("prepare"):
                frames = prepared.encoder_frames(batch)
            if unwanted():
                raise Interrupted("Other work came first.")
            with timings.stage("encode"):
                embeddings = backend.encode_images(frames)
            timings.slices_encoded += len(batch)
            with timings.stage("cache"):
                for look, embedding in zip(batch, embeddings, strict=True):
                    found[look] = self.cache.put(keys[look], embedding, backend)
        self._recent.remember(looks)
        return [found[look] for look in looks]

    def holds(self, prepared: PreparedVolume, look: Look) -> bool:
        """Whether the embedding of `look` is in memory."""
        return self._key(prepared, look) in self.cache

    def nearest(self, prepared: PreparedVolume, wanted: Look, box: Corners) -> Look | None:
        """Of the looks in memory that show `box`, the one most like `wanted`; None without any."""
        shown = self._recent.showing(wanted, box)
        return next((look for look in shown if self.holds(prepared, look)), None)

    def _key(self, prepared: PreparedVolume, look: Look) -> EmbeddingKey:
        backend = self._backend.load()
        # Worker processes share the cores, and a case may be opened again with another number.
        device = re.sub(r", \d+ threads$", "", backend.device)
        name = f"{backend.preset.name} on {device} with {backend.checkpoint.sha256}"
        return EmbeddingKey(prepared.hash_look(look), prepared.limits, look.frame, name)


def _batches(looks: Sequence[Look]) -> Iterator[list[Look]]:
    """Looks of one side each."""
    for _, group in groupby(looks, key=lambda look: look.frame.side):
        alike = list(group)
        for start in range(0, len(alike), IMAGE_BATCH):
            yield alike[start : start + IMAGE_BATCH]
