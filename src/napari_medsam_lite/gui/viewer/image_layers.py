"""The layers of boxes and of labels that belong to an image."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property, partial
from typing import Any, NamedTuple, TypeVar

import numpy as np
from napari.layers import Image, Labels, Layer, Shapes

from napari_medsam_lite.core.lazy import volume_of
from napari_medsam_lite.core.volume import fingerprint_of
from napari_medsam_lite.gui.viewer.box_layer import new_boxes_layer
from napari_medsam_lite.gui.viewer.geometry import finest, fits, held_by
from napari_medsam_lite.gui.viewer.label_layer import can_take_masks, new_labels_layer
from napari_medsam_lite.io.metadata import BOXES, CLASSES, FINGERPRINT, KEY, LABELS, ROLE

ROLES: dict[type[Layer], str] = {Shapes: BOXES, Labels: LABELS}

L = TypeVar("L", Shapes, Labels)


class OwnLayers(NamedTuple):
    """The layers of an image, as far as there are any."""

    boxes: Shapes | None
    labels: Labels | None


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
    taken : callable
        Is told an image, and a layer that is known as the image's from now on.
    """

    def __init__(
        self,
        viewer: Any,
        ask: Callable[[str], bool],
        taken: Callable[[Image, Layer], None] = lambda *_: None,
    ) -> None:
        self._viewer, self._ask, self._taken = viewer, ask, taken
        self._boxes: dict[Image, Shapes] = {}
        self._labels: dict[Image, Labels] = {}
        self._refused: set[tuple[Image, Layer]] = set()
        self._former: set[tuple[Image, Layer]] = set()

    def adopt(self, image: Image) -> OwnLayers:
        """The layers of `image`; those that only have the right name and place are offered.

        Also those that it had before its voxels were replaced. What is refused is not offered
        again, and labels are hidden, lest they are taken for this image's.
        """
        voxels = _Voxels(image)
        own = OwnLayers(
            self._known(self._boxes, voxels, Shapes), self._known(self._labels, voxels, Labels)
        )
        offered = self._offered(own, image)
        if not offered:
            return own
        names = " and ".join(f'"{layer.name}"' for layer in offered)
        if not self._ask(
            f'{names} may have been made on another image than "{image.name}" as it is now. '
            "Use for this image? If not, new layers are made, and old labels are hidden."
        ):
            self._refuse(offered, image)
            return own
        for layer in offered:
            _mark(layer, voxels)
            self._take(layer, image)
        return OwnLayers(self._boxes.get(image), self._labels.get(image))

    def known(self, image: Image) -> OwnLayers:
        """The layers of `image` that are known to be; asks nothing."""
        return OwnLayers(self.boxes(image), self.labels(image))

    def boxes(self, image: Image) -> Shapes | None:
        """The image's layer of boxes, if there is one; asks nothing."""
        return self._known(self._boxes, _Voxels(image), Shapes)

    def labels(self, image: Image) -> Labels | None:
        """The image's layer of labels, if there is one; asks nothing."""
        return self._known(self._labels, _Voxels(image), Labels)

    def concerns(self, layer: Layer, image: Image) -> bool:
        """Whether `layer` is `image` itself or what was last known as one of its layers."""
        # By equality, for napari hands a widget the viewer and what hangs on it inside proxies.
        return layer in (image, self._boxes.get(image), self._labels.get(image))

    def boxes_made(self, image: Image) -> Shapes:
        """The image's layer of boxes, made now if there was none."""
        return self._boxes_made(_Voxels(image))

    def labels_made(self, image: Image) -> Labels:
        """The image's layer of labels, made now (right above the image) if there was none."""
        return self._labels_made(_Voxels(image))

    def both_made(self, image: Image) -> tuple[Shapes, Labels]:
        """The image's layers of boxes and of labels, made now where there was none."""
        voxels = _Voxels(image)
        labels = self._labels_made(voxels)
        return self._boxes_made(voxels), labels

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

    def _boxes_made(self, voxels: _Voxels) -> Shapes:
        found = self._known(self._boxes, voxels, Shapes)
        if found is None:
            found = new_boxes_layer(voxels.image)
            _mark(found, voxels)
            self._take(found, voxels.image)
            self._viewer.layers.append(found)
        return found

    def _labels_made(self, voxels: _Voxels) -> Labels:
        found = self._known(self._labels, voxels, Labels)
        if found is None:
            found = new_labels_layer(voxels.image)
            _mark(found, voxels)
            self._take(found, voxels.image)
            with self._same_selection():
                self._viewer.layers.insert(self._viewer.layers.index(voxels.image) + 1, found)
        return found

    def _take(self, layer: Shapes | Labels, image: Image) -> None:
        """Know `layer` as the image's from now on."""
        if isinstance(layer, Shapes):
            self._boxes[image] = layer
        else:
            self._labels[image] = layer
        self._taken(image, layer)

    def _known(self, known: dict[Image, L], voxels: _Voxels, kind: type[L]) -> L | None:
        """The layer known by identity or by fingerprint, if it still lies where the image does."""
        image = voxels.image
        found = known.get(image)
        if found is not None and _suits(found, image):
            return found
        known.pop(image, None)
        for layer in self._free(known, image, kind):
            if _is_ours(layer) and _fingerprint(layer) == voxels.fingerprint:
                self._take(layer, image)
                return layer
        return None

    def _offered(self, own: OwnLayers, image: Image) -> list[Shapes | Labels]:
        """For each kind that is missing in `own`, the first layer that may be the image's."""
        offered: list[Shapes | Labels] = []
        if own.boxes is None:
            shapes = self._free(self._boxes, image, Shapes)
            offered += [layer for layer in shapes if self._may_be(layer, image)][:1]
        if own.labels is None:
            labels = self._free(self._labels, image, Labels)
            offered += [layer for layer in labels if self._may_be(layer, image)][:1]
        return offered

    def _may_be(self, layer: Layer, image: Image) -> bool:
        """Whether only the user can tell if `layer` is the image's."""
        pair = image, layer
        named = layer.name == f"{image.name} {ROLES[type(layer)]}"
        from_file = CLASSES in held_by(layer)
        return pair not in self._refused and (named or from_file or pair in self._former)

    def _refuse(self, offered: list[Shapes | Labels], image: Image) -> None:
        for layer in offered:
            self._refused.add((image, layer))
            # Not boxes: with software OpenGL, napari crashed in drawing hidden Shapes.
            layer.visible = isinstance(layer, Shapes)

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


class _Voxels:
    """What an image holds during one press: the fingerprint is taken once, and only if needed."""

    def __init__(self, image: Image) -> None:
        self.image = image

    @cached_property
    def fingerprint(self) -> str:
        """See `fingerprint_of_image`."""
        return fingerprint_of_image(self.image)


def fingerprint_of_image(image: Image) -> str:
    """The fingerprint of the voxels that `image` holds now; a flat one is one slice.

    Of an image of more than three dimensions, up to three volumes have a share in it.
    """
    return fingerprint_later(image)()


def fingerprint_later(image: Image) -> Callable[[], str]:
    """As `fingerprint_of_image`, of the array that `image` has now, but looked at when called."""
    return partial(_look_at, finest(image), image.ndim, image.rgb)


def _look_at(data: Any, ndim: int, rgb: bool) -> str:
    if ndim == 2:
        return fingerprint_of(np.asarray(data)[None])
    if rgb or ndim == 3:
        return fingerprint_of(data)
    leading = data.shape[:-3]
    chosen = np.unique(np.linspace(0, np.prod(leading) - 1, 3).astype(int))
    volumes = [volume_of(data, tuple(map(int, np.unravel_index(i, leading)))) for i in chosen]
    parts = repr((tuple(data.shape), *map(fingerprint_of, volumes)))
    return hashlib.blake2b(parts.encode(), digest_size=16).hexdigest()


def _fingerprint(layer: Layer) -> str:
    return str(held_by(layer).get(FINGERPRINT, ""))


def _is_ours(layer: Layer) -> bool:
    """Whether the layer was made for boxes or masks: a reader marks an image's truth too."""
    return bool(_fingerprint(layer)) and (
        isinstance(layer, Shapes) or held_by(layer).get(ROLE) == ROLES[type(layer)]
    )


def _mark(layer: Layer, voxels: _Voxels) -> None:
    """Tie `layer` to the image's voxels, and give it the exact geometry of the image's file."""
    mark: dict[str, Any] = {FINGERPRINT: voxels.fingerprint, ROLE: ROLES[type(layer)]}
    if CLASSES in (held := held_by(layer)):
        mark[CLASSES] = held[CLASSES]
    layer.metadata = {**layer.metadata, KEY: {**held_by(voxels.image), **mark}}


def _suits(layer: Layer, image: Image) -> bool:
    if isinstance(layer, Labels):
        return can_take_masks(layer, image)
    return fits(layer, image)
