"""VolumePredictor: the public face of the engine, for scripts and notebooks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.acceleration.backend import Backend, Progress, silent
from napari_medsam_lite.core.boxes import Box2D, Box3D
from napari_medsam_lite.core.errors import MedSAMLiteError, PromptError
from napari_medsam_lite.core.segmentation import (
    Place,
    Segmentation,
    SliceRecord,
    count_slices,
    group_by_label,
)
from napari_medsam_lite.core.settings import (
    AUTO,
    Detail,
    Overlap,
    Propagation,
    Settings,
    Step,
    parse_detail,
    parse_propagation,
    parse_step,
)
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.core.window import AS_STORED, Limits, Window
from napari_medsam_lite.engine.cache import EmbeddingCache
from napari_medsam_lite.engine.painting import LabelPainter, empty_labels
from napari_medsam_lite.engine.prepared import PreparedVolume, prepare_volume
from napari_medsam_lite.engine.propagation.slice_mask import SliceMask
from napari_medsam_lite.engine.segmented import Segmented
from napari_medsam_lite.engine.segmenter import Segmenter
from napari_medsam_lite.engine.timings import Timings
from napari_medsam_lite.model.weights import Checkpoint


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
        Where embeddings are kept; default a new one in memory alone.

    Attributes
    ----------
    timings : Timings
        Seconds of the last call, by stage, and how much work they bought.
    """

    def __init__(
        self,
        preset: str = AUTO,
        device: str = AUTO,
        checkpoint: str | Path | None = None,
        cache: EmbeddingCache | None = None,
    ) -> None:
        self._segmenter = Segmenter(preset, device, checkpoint, cache)
        self._prepared: PreparedVolume | None = None
        self._window: str | Window | None = None
        self.timings = Timings()

    def use(
        self,
        preset: str | None = None,
        device: str | None = None,
        checkpoint: str | Path | None = None,
    ) -> None:
        """Change the model in place; what is not named stays. It is loaded on its next use."""
        self._segmenter.use(preset, device, checkpoint)

    @property
    def preset(self) -> str:
        """The preset in use; loads the network."""
        return self.load().preset.name

    @property
    def device(self) -> str:
        """The device in use, in words; loads the network."""
        return self.load().device

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint in use; loads the network."""
        return self.load().checkpoint

    @property
    def cache(self) -> EmbeddingCache:
        """Where embeddings are kept; another one can be put in its place."""
        return self._segmenter.cache

    @cache.setter
    def cache(self, cache: EmbeddingCache) -> None:
        self._segmenter.cache = cache

    @property
    def limits(self) -> Limits:
        """The values that became 0 and 255 when the volume was set."""
        return AS_STORED if self._prepared is None else self._prepared.limits

    def load(self, progress: Progress = silent, sides: Sequence[int] = ()) -> Backend:
        """The backend, loaded now if it was not; see `Segmenter.load`."""
        with self.timings.stage("load"):
            return self._segmenter.load(progress, sides)

    def set_volume(self, volume: Volume, window: str | Window | None = None, axis: int = 0) -> None:
        """Choose what is segmented; parameters and errors are those of `prepare_volume`."""
        last = self._prepared
        if last is not None and last.volume is volume and window == self._window:
            self._prepared = last.across(axis)  # without reading the volume again
        else:
            self._prepared = prepare_volume(volume, window, axis)
        self._window = window

    def predict_slice(
        self, index: int, boxes: Sequence[Box2D], detail: Detail = "auto"
    ) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """Masks of `boxes` on slice `index`; `detail` is that of `core.settings.Detail`.

        Returns
        -------
        masks, scores
            (N, H, W) bool and (N,) float32 predicted IoU.

        Raises
        ------
        PromptError
            If the slice does not exist, or a box lies outside it or has no area.
        MedSAMLiteError
            If there is no such detail.
        """
        prepared, self.timings, chosen = self._chosen(), Timings(), parse_detail(detail)
        items = list(self._segmenter.segment_slice(prepared, index, boxes, chosen, self.timings))
        masks = np.zeros((len(items), prepared.frame.height, prepared.frame.width), bool)
        for mask, item in zip(masks, items, strict=True):
            mask[item.window] = item.patch
        return masks, np.array([item.score for item in items], np.float32)

    def propagate_in_volume(
        self,
        boxes: Sequence[Box3D],
        propagation: Propagation = "guided",
        detail: Detail = "auto",
        step: Step = "auto",
        ids: Sequence[int] = (),
    ) -> Iterator[SliceMask]:
        """Masks through the volume, as they are ready; parameters as in `segment_volume`."""
        prepared, self.timings = self._chosen(), Timings()
        settings = Settings(
            propagation=parse_propagation(propagation),
            detail=parse_detail(detail),
            step=parse_step(step),
        )
        _, segments = group_by_label(boxes, ids)
        return self._segmenter.segment(prepared, segments, settings, self.timings)

    def count_slices(self, boxes: Sequence[Box3D], ids: Sequence[int] = ()) -> int:
        """How many masks `propagate_in_volume` yields at most; without `ids` for ``published``."""
        prepared = self._chosen()
        shape, axis = prepared.volume.shape, prepared.axis
        _, segments = group_by_label([box.clip(shape, axis) for box in boxes], ids)
        return count_slices(segments, axis)

    def segment_volume(
        self,
        boxes: Sequence[Box3D],
        overlap: Overlap = "surer",
        propagation: Propagation = "guided",
        ids: Sequence[int] = (),
        progress: Callable[[int, int], None] | None = None,
        detail: Detail = "auto",
        step: Step = "auto",
        on_mask: Callable[[SliceMask], None] | None = None,
    ) -> NDArray[np.unsignedinteger[Any]]:
        """Labels of all `boxes`: (Z, Y, X) uint8, or uint16 when an id needs it.

        Parameters
        ----------
        boxes : sequence of Box3D
            One or more an object; see `core.segmentation.Segment`.
        overlap, propagation, detail, step : str
            See `core.settings`.
        ids : sequence of int, optional
            The label of each box; boxes of one label are one object's. Default 1, 2, 3, ...
        progress : callable, optional
            Called with (masks done, masks at most).
        on_mask : callable, optional
            Called with each mask; its `object` counts the labels in order of appearance.
        """
        prepared = self._chosen()
        labels_of, _ = group_by_label(boxes, ids)
        labels = empty_labels(prepared.volume.shape, labels_of)
        painter = LabelPainter(labels, prepared.axis, labels_of, overlap)
        # As published, each box goes its own way, whosever it is.
        total = self.count_slices(boxes, () if propagation == "published" else ids)
        masks = self.propagate_in_volume(boxes, propagation, detail, step, ids)
        for done, item in enumerate(masks, start=1):
            painter.paint(item)
            if on_mask is not None:
                on_mask(item)
            if progress is not None:
                progress(done, total)
        return labels

    def segment(
        self,
        segmentation: Segmentation,
        overlap: Overlap = "surer",
        detail: Detail = "auto",
        step: Step = "auto",
    ) -> Segmented:
        """Labels of named segments, each with its boxes, and what is known of each mask.

        Parameters
        ----------
        segmentation : Segmentation
            Segments without a number get the next that is free.
        overlap, detail, step : str
            See `core.settings`.

        Raises
        ------
        PromptError
            If a segment has no box, or one lies outside the volume.
        """
        asked = segmentation.numbered()
        boxes = [box for each in asked.segments for box in each.boxes]
        ids = [each.number for each in asked.segments for _ in each.boxes]
        for each in asked.segments:
            if not each.boxes:
                raise PromptError(f"There is no box of {each.title}; draw one.")
        axis, records = self._chosen().axis, dict[int, dict[Place, SliceRecord]]()

        def note(item: SliceMask) -> None:
            if item.area:
                number = asked.segments[item.object].number
                records.setdefault(number, {})[axis, item.index] = item.record(number)

        labels = self.segment_volume(boxes, overlap, "guided", ids, None, detail, step, note)
        for each in asked.segments:
            asked = asked.put(replace(each, records=records.get(each.number, {})))
        return Segmented(labels, asked)

    def segment_from_labels(
        self, labels: NDArray[np.integer[Any]], progress: Callable[[int, int], None] | None = None
    ) -> NDArray[np.unsignedinteger[Any]]:
        """The FLARE protocol: on each slice, one box for each label there, taken from `labels`.

        `labels` is (Z, Y, X); later labels win where masks overlap, as in the published script.
        """
        prepared, self.timings = self._chosen(), Timings()
        if labels.shape != prepared.volume.shape:
            raise PromptError(
                f"The labels {labels.shape} and the image {prepared.volume.shape} differ in shape."
            )
        ids = [int(i) for i in np.unique(labels) if i > 0]
        found = empty_labels(labels.shape, ids)
        painter = LabelPainter(found, prepared.axis, ids, "overwrite")
        slices = self._segmenter.segment_from_labels(prepared, labels, ids, self.timings)
        for done, items in enumerate(slices, start=1):
            for item in items:
                painter.paint(item)
            if progress is not None:
                progress(done, prepared.slice_count)
        return found

    def _chosen(self) -> PreparedVolume:
        if self._prepared is None:
            raise MedSAMLiteError("Choose an image first: call set_volume.")
        return self._prepared
