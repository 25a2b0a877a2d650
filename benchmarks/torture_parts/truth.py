"""What must hold after every action, whatever was done before."""

from __future__ import annotations

import threading
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.engine.tally import Tally
from napari_medsam_lite.gui.thread.worker import THREAD_NAME
from torture_parts.stage import Stage

BY_HAND = {"paint", "delete_segment", "undo", "redo", "there_and_back", "key", "second_dock"}
"""What may change voxels that a person painted."""
UNLOCKING = {"lock", "key"}
OF_LABELS = {"restore", "replace_labels", "remove_companion", "remove_layer", "replace_image"}
OF_IMAGES = {"replace_image"}
MOST_THREADS = 3


@dataclass
class Before:
    """What one image's desk held before an action."""

    image: Any
    labels: Any = None
    voxels: NDArray[Any] | None = None
    held: NDArray[np.bool_] | None = None
    locked: frozenset[int] = frozenset()


class Truth:
    """Looks at the stage before and after each action.

    Raises AssertionError, with what is wrong, from `check`.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._images: dict[Any, tuple[Any, int]] = {}
        self._before: list[Before] = []
        self._keeps_painted, self._restoring = True, False

    def note(self) -> None:
        """Before an action."""
        if self._stage.widget is None:
            self._before = []
        else:
            self._before = [_note(desk) for desk in self._desks().values()]
            # A run that is in flight does as was chosen when it began.
            kept = self._keeps_painted or not self._stage.is_at_work()
            self._keeps_painted = self._stage.state.keep_painted and kept
        self._images = {image: _sum(image) for image in self._arrays()}
        self._restoring = self._stage.is_restoring()

    def check(self, action: str) -> None:
        """After it."""
        self._check_images(action)
        if self._stage.widget is None:
            return
        self._check_state()
        self._check_layers()
        for desk in self._desks().values():
            _check_desk(desk)
        for before in self._before:
            self._check_voxels(before, action)
        self._check_chosen()
        alive = [t for t in threading.enumerate() if t.name == THREAD_NAME]
        assert len(alive) <= MOST_THREADS or self._stage.until(_few_threads), "threads are left"

    def _desks(self) -> dict[Any, Any]:
        found: dict[Any, Any] = self._stage.session.desks._desks
        return found

    def _arrays(self) -> list[Any]:
        layers = self._stage.viewer.layers
        return [x for x in layers if type(x).__name__ == "Image" and type(x.data) is np.ndarray]

    def _check_images(self, action: str) -> None:
        for image in self._arrays():
            if image in self._images and action not in OF_IMAGES:
                assert _sum(image) == self._images[image], "the voxels of an image were changed"

    def _check_state(self) -> None:
        state, session = self._stage.state, self._stage.session
        images = [x for x in self._stage.viewer.layers if type(x).__name__ == "Image"]
        assert list(state.images) == images, "the images offered are not the viewer's"
        assert state.image in images or (state.image is None and not images), "no image is chosen"
        assert not self._stage.is_at_work() or session.runner.busy, "busy, but nothing runs"
        assert 0 <= state.z_from <= state.z_last, "the range begins beyond the image"
        assert 0 <= state.z_to <= state.z_last, "the range ends beyond the image"
        assert state.done <= max(state.total, state.done), "more is done than there is"

    def _check_layers(self) -> None:
        """Nothing of one image is another's."""
        known = self._stage.session.layers
        for held in (known._boxes, known._labels):
            layers = list(held.values())
            assert len({id(x) for x in layers}) == len(layers), "two images share a layer"
            for image, layer in held.items():
                assert image in self._stage.viewer.layers, "a layer of an image that is gone"
                assert layer in self._stage.viewer.layers, "a layer that is gone is still known"
                assert layer.ndim == image.ndim, "a layer has other axes than its image"

    def _check_chosen(self) -> None:
        state, desk = self._stage.state, self._stage.desk()
        if desk is None:
            return
        assert state.segmentation == desk.segmentation, "other segments are shown than there are"
        if desk.labels is not None and not self._stage.is_at_work():
            counted = Tally(desk.masks.volume(desk.leading))
            for number, (slices, _) in state.sizes.items():
                assert slices == counted.slices(number), "the slices shown are not those counted"

    def _check_voxels(self, before: Before, action: str) -> None:
        desk = self._desks().get(before.image)
        if desk is None or desk.labels is None or desk.labels is not before.labels:
            return
        now = np.asarray(desk.labels.data)
        if before.voxels is None or now.shape != before.voxels.shape:
            return
        if action in OF_LABELS or self._restoring:
            return
        changed = now != before.voxels
        self._stage.counts["looks at voxels"] += 1
        locked = np.isin(before.voxels, list(before.locked))
        if action not in UNLOCKING:
            assert not (changed & locked).any(), "voxels of a locked segment were changed"
        if before.held is not None and self._keeps_painted and action not in BY_HAND:
            assert not (changed & before.held).any(), "what a person painted was changed"


def _note(desk: Any) -> Before:
    if desk.labels is None:
        return Before(desk.image)
    held = desk.masks.brush.held
    held = None if held is None else np.array(held)
    voxels = np.array(desk.labels.data)
    return Before(desk.image, desk.labels, voxels, held, desk.segmentation.locked)


def _sum(image: Any) -> int:
    return zlib.crc32(np.ascontiguousarray(image.data))


def _few_threads() -> bool:
    return sum(t.name == THREAD_NAME for t in threading.enumerate()) <= MOST_THREADS


def _check_desk(desk: Any) -> None:
    numbers = [each.number for each in desk.segmentation.segments]
    assert len(set(numbers)) == len(numbers), "two segments have one number"
    if desk.boxes is not None and desk.boxes.nshapes:
        used = {int(n) for n in desk.boxes.features["label"]}
        assert used <= {0, *numbers}, f"boxes of no segment: {used - set(numbers)}"
    if desk.labels is not None:
        listed = list(desk.labels.features["index"])
        assert listed == [0, *numbers], f"the labels list {listed}, the segments are {numbers}"
        found = set(np.unique(np.asarray(desk.labels.data)).tolist())
        assert found <= {0, *numbers}, f"voxels of no segment: {found - {0, *numbers}}"
