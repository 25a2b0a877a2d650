"""VolumePredictor: the one public face of the engine."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.acceleration.backend import Progress
from napari_medsam_lite.core.boxes import Box2D, Box3D
from napari_medsam_lite.core.errors import MedSAMLiteError, PromptError, UnsupportedImageError
from napari_medsam_lite.core.frame import ModelFrame, Patch
from napari_medsam_lite.core.settings import Propagation
from napari_medsam_lite.core.volume import Volume, check_finite
from napari_medsam_lite.core.window import AS_STORED, Limits, Window, parse_window
from napari_medsam_lite.engine.cache import EmbeddingCache
from napari_medsam_lite.engine.embedding_key import EmbeddingKey
from napari_medsam_lite.engine.lazy_backend import Choice, LazyBackend
from napari_medsam_lite.engine.painting import LabelCanvas
from napari_medsam_lite.engine.preprocess import encoder_frames
from napari_medsam_lite.engine.propagation import (
    SliceMask,
    boxes_of_labels,
    decode_prompts,
    plan,
    propagate,
)
from napari_medsam_lite.engine.timings import Timings
from napari_medsam_lite.model.weights import Checkpoint

IMAGE_BATCH = 4


class VolumePredictor:
    """Segments a volume from boxes.

    The network is loaded on first use. Embeddings are kept between calls, so a second box on a
    slice costs only its decoding.

    Parameters
    ----------
    preset : str
        A name from `acceleration.presets.PRESETS`, or ``"auto"``.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
    checkpoint : path, optional
        A LiteMedSAM checkpoint; default the official one.
    cache : EmbeddingCache, optional
        Where embeddings are kept; default a new one in memory alone. Also an attribute.
    """

    def __init__(
        self,
        preset: str = "auto",
        device: str = "auto",
        checkpoint: str | Path | None = None,
        cache: EmbeddingCache | None = None,
    ) -> None:
        self._backend = LazyBackend(Choice(preset, device, checkpoint))
        self.cache = EmbeddingCache() if cache is None else cache
        self._volume: Volume | None = None
        self._window: Window | None = None
        self._axis = 0
        self._limits = AS_STORED
        self._frame = ModelFrame(1, 1)
        self.timings = Timings()

    def use(
        self,
        preset: str | None = None,
        device: str | None = None,
        checkpoint: str | Path | None = None,
    ) -> None:
        """Change the model in place; what is not named stays. It is loaded on its next use."""
        self._backend.use(preset=preset, device=device, checkpoint=checkpoint)

    @property
    def preset(self) -> str:
        """The preset in use; loads the network."""
        return str(self.load().preset.name)

    @property
    def device(self) -> str:
        """The device in use, in words; loads the network."""
        return str(self.load().device)

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint in use; loads the network."""
        checkpoint: Checkpoint = self.load().checkpoint
        return checkpoint

    @property
    def limits(self) -> Limits:
        """The values that became 0 and 255 when the volume was set."""
        return self._limits

    def load(self, progress: Progress = lambda _: None) -> Any:
        """The `acceleration.backend.Backend`, loaded now if it was not.

        `progress` is told what takes long, such as ``"compiling, once"``; see `LazyBackend.load`.
        """
        with self.timings.stage("load"):
            return self._backend.load(progress)

    def set_volume(self, volume: Volume, window: str | Window | None = None, axis: int = 0) -> None:
        """Choose what is segmented.

        Parameters
        ----------
        volume : Volume
            HU, counts or 8 bit.
        window : str or Window, optional
            A name of `core.window.WINDOWS`, ``"LEVEL,WIDTH"`` in HU, or a window. Default: as
            stored for 8-bit volumes, abdomen for all others.
        axis : int
            The slices lie across this array axis: 0 axial, 1 coronal, 2 sagittal for a CT stack.

        Raises
        ------
        UnsupportedImageError
            If the axis or the window does not fit, or the volume holds NaN or infinite voxels.
        """
        if axis not in (0, 1, 2):
            raise UnsupportedImageError(f"The axis must be 0, 1 or 2, not {axis}.")
        chosen = parse_window(window, volume)
        if volume is not self._volume:
            check_finite(volume)
            self._window = None
        if chosen != self._window:
            self._limits = chosen.fit(volume)
        self._volume, self._window, self._axis = volume, chosen, axis
        self._frame = ModelFrame(*volume.plane_shape(axis))

    def embed(self, indices: Sequence[int]) -> list[Any]:
        """The embeddings of slices `indices`, encoded now unless they are in the cache."""
        volume, backend = self._chosen_volume(), self.load()
        keys = {index: self._key(index) for index in indices}
        with self.timings.stage("cache"):
            found = {index: self.cache.get(key, backend) for index, key in keys.items()}
        missing = sorted(index for index, embedding in found.items() if embedding is None)
        for start in range(0, len(missing), IMAGE_BATCH):
            batch = missing[start : start + IMAGE_BATCH]
            with self.timings.stage("prepare"):
                frames = encoder_frames(volume, self._axis, batch, self._limits, self._frame)
            with self.timings.stage("encode"):
                embeddings = backend.encode_images(frames)
            self.timings.slices_encoded += len(batch)
            with self.timings.stage("cache"):
                for index, embedding in zip(batch, embeddings, strict=True):
                    found[index] = self.cache.put(keys[index], embedding, backend)
        return [found[index] for index in indices]

    def encode_outwards(self, start: int) -> Iterator[int]:
        """Encode slices from `start` outwards, until all are there or the cache is full.

        Yields how many are there, after each.
        """
        count = self._chosen_volume().shape[self._axis]
        for ready, index in enumerate(sorted(range(count), key=lambda i: abs(i - start)), start=1):
            if self._key(index) not in self.cache:
                if self.cache.is_full:
                    return
                self.embed([index])
            yield ready

    def predict_slice(
        self, index: int, boxes: Sequence[Box2D]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """Masks of `boxes` on slice `index`.

        Returns
        -------
        masks, scores
            (N, H, W) bool and (N,) float32 predicted IoU.

        Raises
        ------
        PromptError
            If the slice does not exist, or a box lies outside it or has no area.
        """
        items = list(self.segment_slice(index, boxes))
        height, width = self._plane()
        masks = np.zeros((len(items), height, width), bool)
        for mask, item in zip(masks, items, strict=True):
            mask[item.window] = item.patch
        return masks, np.array([item.score for item in items], np.float32)

    def segment_slice(self, index: int, boxes: Sequence[Box2D]) -> Iterator[SliceMask]:
        """The masks of `predict_slice` as patches, yielded in the order of `boxes`."""
        self.timings = Timings()
        count = self._chosen_volume().shape[self._axis]
        if not 0 <= index < count:
            raise PromptError(f"There is no slice {index}; the volume has 0..{count - 1}.")
        inside = [box.clip(*self._plane()) for box in boxes]
        prompts = [(i, index, self._frame.box_to_frame(box)) for i, box in enumerate(inside)]
        yield from decode_prompts(prompts, self._frame, self._decode)

    def propagate_in_volume(
        self, boxes: Sequence[Box3D], propagation: Propagation = "guided"
    ) -> Iterator[SliceMask]:
        """Masks of all `boxes` from their key slices outwards, yielded as they are ready.

        See `engine.propagation.propagate` for the two ways to propagate.

        Raises
        ------
        PromptError
            If a box lies outside the volume or has no area.
        MedSAMLiteError
            If there is no such way to propagate.
        """
        self.timings = Timings()
        inside = self._clip(boxes)
        yield from propagate(inside, self._axis, self._frame, self._decode, propagation)

    def count_slices(self, boxes: Sequence[Box3D]) -> int:
        """How many masks `propagate_in_volume` yields at most."""
        plans = (plan(box, self._axis) for box in self._clip(boxes))
        return sum(len(up) + len(down) for up, down in plans)

    def segment_volume(
        self,
        boxes: Sequence[Box3D],
        overlap: str = "logit",
        propagation: Propagation = "guided",
        ids: Sequence[int] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> NDArray[np.unsignedinteger[Any]]:
        """Labels of all `boxes`: (Z, Y, X) uint8, or uint16 when an id needs it.

        Parameters
        ----------
        boxes : sequence of Box3D
            One an object.
        overlap : str
            Which object wins where two overlap; see `engine.labels.LabelCanvas`.
        propagation : str
            See `core.settings.Propagation`.
        ids : sequence of int, optional
            The objects' labels; default 1, 2, 3, ...
        progress : callable, optional
            Called with (masks done, masks at most).
        """
        ids = range(1, len(boxes) + 1) if ids is None else ids
        canvas = LabelCanvas(self._chosen_volume().shape, self._axis, list(ids), overlap)
        total = self.count_slices(boxes)
        for done, item in enumerate(self.propagate_in_volume(boxes, propagation), start=1):
            canvas.paint(item)
            if progress is not None:
                progress(done, total)
        return canvas.labels

    def segment_from_labels(
        self, labels: NDArray[np.integer[Any]], progress: Callable[[int, int], None] | None = None
    ) -> NDArray[np.unsignedinteger[Any]]:
        """The FLARE protocol: on each slice, one box for each label there, taken from `labels`.

        `labels` is (Z, Y, X); later labels win where masks overlap, as in the published script.
        """
        volume = self._chosen_volume()
        if labels.shape != volume.shape:
            raise PromptError(
                f"The labels {labels.shape} and the image {volume.shape} differ in shape."
            )
        self.timings = Timings()
        ids = [int(i) for i in np.unique(labels) if i > 0]
        canvas = LabelCanvas(volume.shape, self._axis, ids, "overwrite")
        planes = np.moveaxis(labels, self._axis, 0)
        for index, plane in enumerate(planes):
            prompts = [
                (ids.index(label), index, box) for label, box in boxes_of_labels(plane, self._frame)
            ]
            for item in decode_prompts(prompts, self._frame, self._decode):
                canvas.paint(item)
            if progress is not None:
                progress(index + 1, len(planes))
        return canvas.labels

    def _decode(self, indices: list[int], boxes: NDArray[np.float32]) -> list[tuple[Patch, float]]:
        embeddings = self.embed(indices)
        with self.timings.stage("decode"):
            logits, scores = self.load().decode_boxes(embeddings, boxes)
        self.timings.boxes_decoded += len(indices)
        with self.timings.stage("masks"):
            return [
                (self._frame.mask_to_image(mask), float(score))
                for mask, score in zip(logits, scores, strict=True)
            ]

    def _chosen_volume(self) -> Volume:
        if self._volume is None:
            raise MedSAMLiteError("Choose an image first: call set_volume.")
        return self._volume

    def _plane(self) -> tuple[int, int]:
        return self._chosen_volume().plane_shape(self._axis)

    def _clip(self, boxes: Sequence[Box3D]) -> list[Box3D]:
        shape = self._chosen_volume().shape
        return [box.clip(shape, self._axis) for box in boxes]

    def _key(self, index: int) -> EmbeddingKey:
        backend = self.load()
        # Worker processes share the cores, and a case may be opened again with another number.
        device = re.sub(r", \d+ threads$", "", backend.device)
        name = f"{backend.preset.name} on {device} with {backend.checkpoint.sha256}"
        return EmbeddingKey(
            self._chosen_volume().fingerprint, self._axis, index, self._limits, name
        )
