"""Segmenter: one network, answering boxes on whatever prepared volume it is handed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.acceleration.backend import Backend, Embedding, Progress, silent
from napari_medsam_lite.core.boxes import Box2D
from napari_medsam_lite.core.errors import PromptError
from napari_medsam_lite.core.frame import Patch
from napari_medsam_lite.core.segmentation import Segment
from napari_medsam_lite.core.settings import AUTO, Detail, Settings, slices_a_step
from napari_medsam_lite.engine.answers import (
    Answered,
    Network,
    Question,
    Reply,
    answer,
    remembering,
)
from napari_medsam_lite.engine.cache import EmbeddingCache
from napari_medsam_lite.engine.detail import choose_looks
from napari_medsam_lite.engine.embedding_key import EmbeddingKey
from napari_medsam_lite.engine.lazy_backend import Choice, LazyBackend
from napari_medsam_lite.engine.look import Look, corners_of
from napari_medsam_lite.engine.prepared import PreparedVolume
from napari_medsam_lite.engine.propagation import guided, published
from napari_medsam_lite.engine.propagation.route import Prompt
from napari_medsam_lite.engine.propagation.slice_mask import (
    Decode,
    SliceMask,
    decode_prompts,
)
from napari_medsam_lite.engine.timings import Timings

IMAGE_BATCH = 4
DEFAULTS = Settings()


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

    def load(self, progress: Progress = silent, sides: Sequence[int] = ()) -> Backend:
        """The backend, loaded now if it was not, and made ready for frames of `sides`.

        `progress` is told what takes long; other sides are made ready in silence, on their first
        use.

        Raises
        ------
        BackendUnavailableError, CheckpointError, DeviceMemoryError
            Each with its reason.
        """
        return self._backend.load(progress, sides)

    def interrupt(self) -> None:
        """Cut the encoding in flight short, where the backend can; from any thread."""
        self._backend.interrupt()

    def embed(
        self, prepared: PreparedVolume, looks: Sequence[Look], timings: Timings | None = None
    ) -> list[Embedding]:
        """The embeddings of `looks`, encoded now unless they are in the cache."""
        timings = timings or Timings()
        with timings.stage("load"):
            backend = self.load()
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
            with timings.stage("encode"):
                embeddings = backend.encode_images(frames)
            timings.slices_encoded += len(batch)
            with timings.stage("cache"):
                for look, embedding in zip(batch, embeddings, strict=True):
                    found[look] = self.cache.put(keys[look], embedding, backend)
        return [found[look] for look in looks]

    def encode_outwards(
        self,
        prepared: PreparedVolume,
        start: int,
        boxes: Sequence[Box2D],
        detail: Detail = "auto",
    ) -> Iterator[int]:
        """Encode what `boxes` would need, on slices from `start` outwards, until the cache is full.

        Yields how many slices are ready, after each; nothing without boxes.
        """
        corners = [corners_of(box) for box in boxes]
        nearest_first = sorted(range(prepared.slice_count), key=lambda index: abs(index - start))
        for ready, index in enumerate(nearest_first if boxes else (), start=1):
            prompts = [Prompt(index, box, box) for box in corners]
            looks = {
                look
                for prompt in prompts
                for look in choose_looks(detail, prompt, prepared.frame, len(boxes))
            }
            for look in looks:
                if self._key(prepared, look) not in self.cache:
                    if self.cache.is_full:
                        return
                    self.embed(prepared, [look])
            yield ready

    def segment_slice(
        self,
        prepared: PreparedVolume,
        index: int,
        boxes: Sequence[Box2D],
        detail: Detail = "auto",
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
        asked = [
            (i, Prompt(index, corners_of(box), corners_of(box))) for i, box in enumerate(inside)
        ]
        network = self._network(prepared, timings or Timings())
        return answer(asked, frame, detail, Counter({index: len(boxes)}), network)

    def segment(
        self,
        prepared: PreparedVolume,
        segments: Sequence[Segment],
        settings: Settings = DEFAULTS,
        timings: Timings | None = None,
        answered: Answered | None = None,
    ) -> Iterator[SliceMask]:
        """Masks of `segments` through the volume, yielded as they are ready, one a slice.

        Of `settings`, propagation, detail and step count here. The masks' `object` is the
        segment's place. What is in `answered` is not asked again, and what is asked comes into it:
        handed to a second call with the same segments and settings, it makes that one go on where
        the first was stopped (not as ``published``).

        Raises
        ------
        PromptError
            If a box lies outside the volume or has no area.
        """
        timings = timings or Timings()
        clipped = [part.clip(prepared.volume.shape, prepared.axis) for part in segments]
        if settings.propagation == "published":
            yield from self._as_published(prepared.as_published, clipped, timings)
            return
        slice_mm = prepared.volume.spacing[prepared.axis]
        step = slices_a_step(settings.step, slice_mm)
        crowd, network = guided.crowd(clipped, prepared.axis), self._network(prepared, timings)

        def ask(asked: list[tuple[int, Prompt]]) -> Iterator[SliceMask]:
            return remembering(asked, answered, fresh)

        def fresh(asked: Sequence[tuple[int, Prompt]]) -> Iterator[SliceMask]:
            return answer(asked, prepared.frame, settings.detail, crowd, network)

        yield from guided.propagate(clipped, prepared.axis, step, prepared.pixel_mm, slice_mm, ask)

    def _as_published(
        self, seen: PreparedVolume, segments: Sequence[Segment], timings: Timings
    ) -> Iterator[SliceMask]:
        """Each box on its own, as the published script has no other."""
        owners = [place for place, part in enumerate(segments) for _ in part.boxes]
        boxes = [box for part in segments for box in part.boxes]
        decode = self._decoder(seen, timings)
        for item in published.propagate(boxes, seen.axis, seen.frame, decode):
            yield replace(item, object=owners[item.object])

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

    def _network(self, prepared: PreparedVolume, timings: Timings) -> Network:
        """The network on whatever looks it is asked of, those of one side decoded together."""

        def ask(questions: Sequence[Question]) -> list[Reply]:
            embeddings = self.embed(prepared, [q.look for q in questions], timings)
            replies: dict[int, Reply] = {}
            for side in sorted({q.look.frame.side for q in questions}):
                places = [i for i, q in enumerate(questions) if q.look.frame.side == side]
                with timings.stage("decode"):
                    logits, scores = self.load().decode_boxes(
                        [embeddings[i] for i in places for _ in questions[i].boxes],
                        np.concatenate([questions[i].boxes for i in places]),
                    )
                timings.boxes_decoded += len(scores)
                ends = np.cumsum([len(questions[i].boxes) for i in places])[:-1]
                parts = zip(np.split(logits, ends), np.split(scores, ends), strict=True)
                replies |= {i: Reply(*part) for i, part in zip(places, parts, strict=True)}
            return [replies[i] for i in range(len(questions))]

        return ask

    def _decoder(self, prepared: PreparedVolume, timings: Timings) -> Decode:
        """The network on whole slices, one answer a box."""
        network, frame = self._network(prepared, timings), prepared.frame

        def decode(indices: list[int], boxes: NDArray[np.float32]) -> list[tuple[Patch, float]]:
            replies = network(
                [
                    Question(Look.whole(index, frame), box[None])
                    for index, box in zip(indices, boxes, strict=True)
                ]
            )
            with timings.stage("masks"):
                return [(frame.mask_to_image(r.logits[0]), float(r.scores[0])) for r in replies]

        return decode

    def _key(self, prepared: PreparedVolume, look: Look) -> EmbeddingKey:
        backend = self.load()
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
