"""Segmenter: one network, answering boxes on whatever prepared volume it is handed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.acceleration.backend import Backend, Embedding, Progress
from napari_medsam_lite.core.boxes import Box2D, Box3D
from napari_medsam_lite.core.errors import PromptError
from napari_medsam_lite.core.frame import ModelFrame, Patch
from napari_medsam_lite.core.settings import AUTO, Propagation, parse_propagation
from napari_medsam_lite.engine.cache import EmbeddingCache
from napari_medsam_lite.engine.embedding_key import EmbeddingKey
from napari_medsam_lite.engine.lazy_backend import Choice, LazyBackend
from napari_medsam_lite.engine.prepared import PreparedVolume
from napari_medsam_lite.engine.propagation import guided, published
from napari_medsam_lite.engine.propagation.slice_mask import Decode, SliceMask, decode_prompts
from napari_medsam_lite.engine.timings import Timings

IMAGE_BATCH = 4
WAYS = {"guided": guided.propagate, "published": published.propagate}


class Segmenter:
    """Holds the network and the embeddings, and nothing of any volume.

    Parameters
    ----------
    preset, device : str
        See `core.settings.Settings`.
    checkpoint : path, optional
        A LiteMedSAM checkpoint; default the official one.
    cache : EmbeddingCache, optional
        Where embeddings are kept; default a new one in memory alone.
    """

    def __init__(
        self,
        preset: str = AUTO,
        device: str = AUTO,
        checkpoint: str | Path | None = None,
        cache: EmbeddingCache | None = None,
    ) -> None:
        self._backend = LazyBackend(Choice(preset, device, checkpoint))
        self.cache = EmbeddingCache() if cache is None else cache

    def use(
        self,
        preset: str | None = None,
        device: str | None = None,
        checkpoint: str | Path | None = None,
    ) -> None:
        """Change the network; what is not named stays. It is loaded on its next use."""
        self._backend.use(preset=preset, device=device, checkpoint=checkpoint)

    def choose_again(self) -> None:
        """Load another network next time if ``"auto"`` means another preset by now."""
        self._backend.choose_again()

    def load(self, progress: Progress = lambda _: None) -> Backend:
        """The backend, loaded now if it was not; `progress` is told what takes long.

        Raises
        ------
        BackendUnavailableError, CheckpointError, DeviceMemoryError
            Each with its reason.
        """
        return self._backend.load(progress)

    def interrupt(self) -> None:
        """Cut the encoding in flight short, where the backend can; from any thread."""
        self._backend.interrupt()

    def embed(
        self, prepared: PreparedVolume, indices: Sequence[int], timings: Timings | None = None
    ) -> list[Embedding]:
        """The embeddings of slices `indices`, encoded now unless they are in the cache."""
        timings = timings or Timings()
        with timings.stage("load"):
            backend = self.load()
        with timings.stage("cache"):
            keys = {index: self._key(prepared, index) for index in indices}
            found = {index: self.cache.get(key, backend) for index, key in keys.items()}
        missing = sorted(index for index, embedding in found.items() if embedding is None)
        for start in range(0, len(missing), IMAGE_BATCH):
            batch = missing[start : start + IMAGE_BATCH]
            with timings.stage("prepare"):
                frames = prepared.encoder_frames(batch)
            with timings.stage("encode"):
                embeddings = backend.encode_images(frames)
            timings.slices_encoded += len(batch)
            with timings.stage("cache"):
                for index, embedding in zip(batch, embeddings, strict=True):
                    found[index] = self.cache.put(keys[index], embedding, backend)
        return [found[index] for index in indices]

    def encode_outwards(self, prepared: PreparedVolume, start: int) -> Iterator[int]:
        """Encode slices from `start` outwards, until all are there or the cache is full.

        Yields how many are there, after each.
        """
        nearest_first = sorted(range(prepared.slice_count), key=lambda index: abs(index - start))
        for ready, index in enumerate(nearest_first, start=1):
            if self._key(prepared, index) not in self.cache:
                if self.cache.is_full:
                    return
                self.embed(prepared, [index])
            yield ready

    def segment_slice(
        self,
        prepared: PreparedVolume,
        index: int,
        boxes: Sequence[Box2D],
        timings: Timings | None = None,
    ) -> Iterator[SliceMask]:
        """One mask a box on slice `index`, yielded in the order of `boxes`.

        Raises
        ------
        PromptError
            If the slice does not exist, or a box lies outside it or has no area.
        """
        if not 0 <= index < prepared.slice_count:
            last = prepared.slice_count - 1
            raise PromptError(f"There is no slice {index}; the volume has 0..{last}.")
        frame = prepared.frame
        axes = "zyx".replace("zyx"[prepared.axis], "")
        inside = [box.clip(frame.height, frame.width, axes) for box in boxes]
        prompts = [(i, index, frame.box_to_frame(box)) for i, box in enumerate(inside)]
        return decode_prompts(prompts, frame, self._decoder(prepared, timings or Timings()))

    def propagate(
        self,
        prepared: PreparedVolume,
        boxes: Sequence[Box3D],
        propagation: Propagation = "guided",
        timings: Timings | None = None,
    ) -> Iterator[SliceMask]:
        """Masks of all `boxes` from their key slices outwards, yielded as they are ready.

        Raises
        ------
        PromptError
            If a box lies outside the volume or has no area.
        MedSAMLiteError
            If there is no such way to propagate.
        """
        way = WAYS[parse_propagation(propagation)]
        seen = prepared.as_published if propagation == "published" else prepared
        decode = self._decoder(seen, timings or Timings())
        return way(seen.clip(boxes), seen.axis, seen.frame, decode)

    def segment_from_labels(
        self,
        prepared: PreparedVolume,
        labels: NDArray[np.integer],
        ids: Sequence[int],
        timings: Timings,
    ) -> Iterator[list[SliceMask]]:
        """The FLARE protocol: on each slice, one box for each label there, taken from `labels`.

        Yields the masks of each slice together; their `object` is the label's place in `ids`.
        """
        numbers = {label: number for number, label in enumerate(ids)}
        seen = prepared.as_published
        decode = self._decoder(seen, timings)
        for index, plane in enumerate(np.moveaxis(labels, seen.axis, 0)):
            prompts = [
                (numbers[label], index, box)
                for label, box in published.boxes_of_labels(plane, seen.frame)
            ]
            yield list(decode_prompts(prompts, seen.frame, decode))

    def _decoder(self, prepared: PreparedVolume, timings: Timings) -> Decode:
        def decode(indices: list[int], boxes: NDArray[np.float32]) -> list[tuple[Patch, float]]:
            embeddings = self.embed(prepared, indices, timings)
            with timings.stage("decode"):
                logits, scores = self.load().decode_boxes(embeddings, boxes)
            timings.boxes_decoded += len(indices)
            with timings.stage("masks"):
                return _patches(prepared.frame, logits, scores)

        return decode

    def _key(self, prepared: PreparedVolume, index: int) -> EmbeddingKey:
        backend = self.load()
        # Worker processes share the cores, and a case may be opened again with another number.
        device = re.sub(r", \d+ threads$", "", backend.device)
        name = f"{backend.preset.name} on {device} with {backend.checkpoint.sha256}"
        return EmbeddingKey(prepared.hash_slice(index), prepared.limits, prepared.frame, name)


def _patches(
    frame: ModelFrame, logits: NDArray[np.float32], scores: NDArray[np.float32]
) -> list[tuple[Patch, float]]:
    return [
        (frame.mask_to_image(mask), float(score))
        for mask, score in zip(logits, scores, strict=True)
    ]
