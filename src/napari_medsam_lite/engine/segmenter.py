"""Segmenter: one network, answering boxes on whatever prepared volume it is handed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.acceleration.backend import Backend, Progress, silent
from napari_medsam_lite.core.boxes import Box2D
from napari_medsam_lite.core.frame import Patch
from napari_medsam_lite.core.segmentation import Segment
from napari_medsam_lite.core.settings import AUTO, Detail, Settings, slices_a_step
from napari_medsam_lite.engine.answers import (
    Answered,
    Network,
    Question,
    Reply,
    answer,
    answer_once,
    prompts_on,
    remembering,
)
from napari_medsam_lite.engine.cache import EmbeddingCache
from napari_medsam_lite.engine.detail import choose_looks
from napari_medsam_lite.engine.embedder import Embedder
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
        self._embedder = Embedder(self._backend, EmbeddingCache() if cache is None else cache)

    @property
    def cache(self) -> EmbeddingCache:
        """Where embeddings are kept; another one can be given."""
        return self._embedder.cache

    @cache.setter
    def cache(self, cache: EmbeddingCache) -> None:
        self._embedder.cache = cache

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

    def encode(self, prepared: PreparedVolume, looks: Sequence[Look]) -> None:
        """Encode what a box will need: `looks`, unless they are in the cache."""
        self._embedder.embed(prepared, looks)

    def encode_outwards(
        self,
        prepared: PreparedVolume,
        start: int,
        boxes: Sequence[Box2D],
        detail: Detail = "auto",
        unwanted: Callable[[], bool] = lambda: False,
    ) -> Iterator[int]:
        """Encode what `boxes` would need, on slices from `start` outwards, until the cache is full.

        Yields how many slices are ready, after each; nothing without boxes. Raises `Interrupted` if
        that is `unwanted` by now, which `interrupt` alone cannot tell between two encodings.
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
                if not self._embedder.holds(prepared, look):
                    if self.cache.is_full:
                        return
                    self._embedder.embed(prepared, [look], unwanted=unwanted)
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
        asked = list(enumerate(prompts_on(prepared, index, boxes)))
        network = self._network(prepared, timings or Timings())
        return answer(asked, prepared.frame, detail, Counter({index: len(boxes)}), network)

    def is_encoded(
        self,
        prepared: PreparedVolume,
        index: int,
        boxes: Sequence[Box2D],
        detail: Detail = "auto",
    ) -> bool:
        """Whether `segment_slice` has nothing to encode; errors as there."""
        prompts = prompts_on(prepared, index, boxes)
        looks = (choose_looks(detail, p, prepared.frame, len(boxes)) for p in prompts)
        return all(self._embedder.holds(prepared, look) for mine in looks for look in mine)

    def glance(
        self,
        prepared: PreparedVolume,
        index: int,
        boxes: Sequence[Box2D],
        detail: Detail = "auto",
    ) -> list[SliceMask]:
        """One mask a box on slice `index`, rougher than those of `segment_slice`, and at once.

        Nothing is encoded: each box is answered once, from the look in memory that is most like its
        own. Empty if a box has none. Errors as `segment_slice`.
        """
        prompts, whole = prompts_on(prepared, index, boxes), prepared.frame
        looks = []
        for prompt in prompts:
            wanted = choose_looks(detail, prompt, whole, len(prompts))[-1]
            if (found := self._embedder.nearest(prepared, wanted, prompt.box)) is None:
                return []
            looks.append(found)
        return list(answer_once(prompts, looks, whole, self._network(prepared, Timings())))

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
            embeddings = self._embedder.embed(prepared, [q.look for q in questions], timings)
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
