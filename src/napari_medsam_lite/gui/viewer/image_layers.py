"""The layers of boxes and of labels that belong to an image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from napari.layers import Image, Labels, Layer, Shapes

from napari_medsam_lite.core.volume import fingerprint_of
from napari_medsam_lite.gui.viewer.box_layer import new_boxes_layer, watch_boxes
from napari_medsam_lite.gui.viewer.geometry import fits, held_by
from napari_medsam_lite.gui.viewer.label_layer import can_take_masks, new_labels_layer
from napari_medsam_lite.io.hooks import KEY

FINGERPRINT, ROLE = "fingerprint", "role"

ROLES: dict[type[Layer], str] = {Shapes: "boxes", Labels: "labels"}

L = TypeVar("L", Shapes, Labels)


class ImageLayers:
    """For each image one layer of boxes and one of labels.

    Within a session they are known by identity. Across sessions, by the fingerprint of the image's
    voxels, which is stored in their metadata; never by a name, for two patients' images may have
    the same. Layers that only have the right name and place are taken if the user says so.

    Parameters
    ----------
    viewer : napari.Viewer or napari.components.ViewerModel
        Where the layers are.
    ask : callable
        Puts a question to the user that is answered by yes or no.
    """

    def __init__(self, viewer: Any, ask: Callable[[str], bool]) -> None:
        self._viewer, self._ask = viewer, ask
        self._boxes: dict[Image, Shapes] = {}
        self._labels: dict[Image, Labels] = {}
        self._refused: set[tuple[Image, Layer]] = set()
        self._former: set[tuple[Image, Layer]] = set()

    def adopt(self, image: Image) -> None:
        """Offer the user layers for `image` that only have the right name and place.

        Also those that it had before its voxels were replaced. What is refused is not offered
        again, and labels are hidden, lest they are taken for this image's.
        """
        kinds: list[tuple[dict[Image, Any], type[Layer]]] = [
            (self._boxes, Shapes),
            (self._labels, Labels),
        ]
        found = []
        for known, kind in kinds:
            if self._known(known, image, kind) is None:
                offered = [x for x in self._free(known, image, kind) if self._may_be(x, image)]
                found += [(known, layer) for layer in offered[:1]]
        if not found:
            return
        names = " and ".join(f'"{layer.name}"' for _, layer in found)
        if self._ask(
            f'{names} may have been made on another image than "{image.name}" as it is now. '
            "Use for this image? If not, new layers are made, and old labels are hidden."
        ):
            for known, layer in found:
                known[image] = layer
                _mark(layer, image)
        else:
            for _, layer in found:
                self._refused.add((image, layer))
                # Not boxes: with software OpenGL, napari crashed in drawing hidden Shapes.
                layer.visible = isinstance(layer, Shapes)

    def boxes(self, image: Image) -> Shapes | None:
        """The image's layer of boxes, if there is one; asks nothing."""
        return self._known(self._boxes, image, Shapes)

    def labels(self, image: Image) -> Labels | None:
        """The image's layer of labels, if there is one; asks nothing."""
        return self._known(self._labels, image, Labels)

    def boxes_made(self, image: Image) -> Shapes:
        """The image's layer of boxes, made now if there was none."""
        found = self.boxes(image)
        if found is None:
            found = self._boxes[image] = new_boxes_layer(image)
            _mark(found, image)
            self._viewer.layers.append(found)
        watch_boxes(found)
        return found

    def labels_made(self, image: Image) -> Labels:
        """The image's layer of labels, made now (right above the image) if there was none."""
        found = self.labels(image)
        if found is None:
            found = self._labels[image] = new_labels_layer(image)
            _mark(found, image)
            with self._same_selection():
                self._viewer.layers.insert(self._viewer.layers.index(image) + 1, found)
        return found

    def forget(self, layer: Layer) -> None:
        """Drop `layer`, which was removed from the viewer."""
        self._boxes = {i: b for i, b in self._boxes.items() if layer not in (i, b)}
        self._labels = {i: m for i, m in self._labels.items() if layer not in (i, m)}
        self._refused = {pair for pair in self._refused if layer not in pair}
        self._former = {pair for pair in self._former if layer not in pair}

    def part(self, image: Image) -> None:
        """Take the layers from `image`, whose voxels were replaced: they are of others now."""
        for known in (self._boxes, self._labels):
            if image in known:
                self._former.add((image, known.pop(image)))
        self._refused = {pair for pair in self._refused if image != pair[0]}

    def _may_be(self, layer: Layer, image: Image) -> bool:
        """Whether only the user can tell if `layer` is the image's."""
        pair = image, layer
        named = layer.name == f"{image.name} {ROLES[type(layer)]}"
        return pair not in self._refused and (named or pair in self._former)

    def _known(self, known: dict[Image, L], image: Image, kind: type[L]) -> L | None:
        """The layer known by identity or by fingerprint, if it still lies where the image does."""
        found = known.get(image)
        if found is not None and _suits(found, image):
            return found
        known.pop(image, None)
        marked = [layer for layer in self._free(known, image, kind) if _is_ours(layer)]
        if marked:
            wanted = fingerprint_of_image(image)
            for layer in marked:
                if _fingerprint(layer) == wanted:
                    known[image] = layer
                    return layer
        return None

    def _free(self, known: dict[Image, L], image: Image, kind: type[L]) -> list[L]:
        """The layers that lie where the image does and belong to no image yet."""
        taken = list(known.values())
        return [
            layer
            for layer in self._viewer.layers
            if isinstance(layer, kind) and layer not in taken and _suits(layer, image)
        ]

    @contextmanager
    def _same_selection(self) -> Iterator[None]:
        """Keep the user's selected layer: a new layer must not take the drawing tool away."""
        selection = self._viewer.layers.selection
        chosen, active = set(selection), selection.active
        yield
        if active is not None:
            selection.active = active
        selection.update(chosen)


def fingerprint_of_image(image: Image) -> str:
    """The fingerprint of the voxels that `image` holds now; a flat one is one slice."""
    data = image.data
    return fingerprint_of(data[None] if image.ndim == 2 else data)


def _fingerprint(layer: Layer) -> str:
    return str(held_by(layer).get(FINGERPRINT, ""))


def _is_ours(layer: Layer) -> bool:
    """Whether the layer was made for boxes or masks: a reader marks an image's truth too."""
    return bool(_fingerprint(layer)) and (
        isinstance(layer, Shapes) or held_by(layer).get(ROLE) == ROLES[type(layer)]
    )


def _mark(layer: Layer, image: Image) -> None:
    """Tie `layer` to the voxels of `image`, and give it the exact geometry of the image's file."""
    mark = {FINGERPRINT: fingerprint_of_image(image), ROLE: ROLES[type(layer)]}
    layer.metadata = {**layer.metadata, KEY: {**held_by(image), **mark}}


def _suits(layer: Layer, image: Image) -> bool:
    if isinstance(layer, Labels):
        return can_take_masks(layer, image)
    return fits(layer, image)
