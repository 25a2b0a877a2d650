"""The Shapes and Labels layers of an image: found, made once, and forgotten when gone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from napari.layers import Image, Labels, Layer, Shapes

from napari_medsam_lite.gui.viewer.geometry import fits, new_boxes_layer, new_labels_layer


class Companions:
    """For each image one layer of boxes and one of labels.

    They are known by identity, so renaming does no harm. Layers that a closed widget left behind
    are found again by their name, if they still lie where the image does.
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._boxes: dict[Image, Shapes] = {}
        self._labels: dict[Image, Labels] = {}

    def boxes(self, image: Image) -> Shapes | None:
        """The image's layer of boxes, if there is one."""
        if image not in self._boxes:
            named = self._named(f"{image.name} boxes", Shapes)
            if named is None or not fits(named, image):
                return None
            self._boxes[image] = named
        return self._boxes[image]

    def boxes_made(self, image: Image) -> Shapes:
        """The image's layer of boxes, made now if there was none."""
        found = self.boxes(image)
        if found is None:
            found = self._boxes[image] = new_boxes_layer(image)
            self._viewer.layers.append(found)
        return found

    def labels(self, image: Image) -> Labels | None:
        """The image's layer of labels, if there is one."""
        if image not in self._labels:
            named = self._named(f"{image.name} labels", Labels)
            if named is None or not fits(named, image) or not _can_take_masks(named, image):
                return None
            self._labels[image] = named
        return self._labels[image]

    def labels_made(self, image: Image) -> Labels:
        """The image's layer of labels, made now (right above the image) if there was none."""
        found = self.labels(image)
        if found is None:
            found = self._labels[image] = new_labels_layer(image)
            with self._same_selection():
                self._viewer.layers.insert(self._viewer.layers.index(image) + 1, found)
        return found

    def forget(self, layer: Layer) -> None:
        """Drop `layer`, which was removed from the viewer."""
        self._boxes = {i: b for i, b in self._boxes.items() if layer is not i and layer is not b}
        self._labels = {i: m for i, m in self._labels.items() if layer is not i and layer is not m}

    def _named(self, name: str, kind: type[Layer]) -> Any:
        return next((x for x in self._viewer.layers if type(x) is kind and x.name == name), None)

    @contextmanager
    def _same_selection(self) -> Iterator[None]:
        """Keep the user's selected layer: a new layer must not take the drawing tool away."""
        selection = self._viewer.layers.selection
        chosen, active = set(selection), selection.active
        yield
        if active is not None:
            selection.active = active
        selection.update(chosen)


def _can_take_masks(labels: Labels, image: Image) -> bool:
    """Whether masks of `image` can be written into `labels` in place."""
    return (
        isinstance(labels.data, np.ndarray)
        and labels.data.flags.writeable
        and labels.data.shape == image.data.shape[: image.ndim]
    )
