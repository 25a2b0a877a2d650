"""The Labels layer that masks of an image go to, and what it shows of the segments."""

from __future__ import annotations

import numpy as np
from napari.layers import Image, Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_medsam_lite.core.labelset import color_of
from napari_medsam_lite.core.segmentation import Segment, Segmentation
from napari_medsam_lite.engine.tally import numbers_in
from napari_medsam_lite.gui.viewer.geometry import fits, held_by, place_of
from napari_medsam_lite.io.metadata import CLASSES

Rgba = tuple[float, float, float, float]


def new_labels_layer(image: Image) -> Labels:
    """An empty Labels layer in the place of `image`.

    The metadata come along: a reader's exact geometry is in there, and goes into saved labels.
    """
    return Labels(
        np.zeros(image.data.shape[: image.ndim], np.uint8),
        name=f"{image.name} labels",
        metadata=dict(image.metadata),
        **place_of(image),
    )


def can_take_masks(labels: Labels, image: Image) -> bool:
    """Whether masks of `image` can be written into `labels` in place, voxel on voxel."""
    return (
        isinstance(labels.data, np.ndarray)
        and labels.data.flags.writeable
        and labels.data.shape == image.data.shape[: image.ndim]
        and fits(labels, image)
    )


def highest_label(layer: Labels) -> int:
    """The highest label in use in `layer`; 0 if it is empty."""
    return int(np.max(layer.data, initial=0))


def dress_labels(layer: Labels, segmentation: Segmentation) -> None:
    """Show names, colours and eyes of the segments, and have the brush paint the current one.

    They live in the layer's own features and colormap, where napari's feature table, its tooltips
    and writers find them.
    """
    numbers = [0, *(each.number for each in segmentation.segments)]
    names = ["", *(each.title for each in segmentation.segments)]
    features = layer.features
    if "name" not in features or list(features["name"]) != names:
        layer.features = {"index": numbers, "name": names}
    colors: dict[int | None, Rgba] = {None: (1, 1, 0, 1), 0: (0, 0, 0, 0)}
    colors |= {each.number: _rgba(each) for each in segmentation.segments}
    if _colors_of(layer) != colors:
        layer.colormap = DirectLabelColormap(color_dict=colors)
    if segmentation.current and layer.selected_label != segmentation.current:
        layer.selected_label = segmentation.current


def segments_of(layer: Labels) -> Segmentation:
    """The segments that `layer` holds: by its features where they name them, else by its voxels."""
    features = layer.features
    named = {}
    if {"index", "name"} <= set(features):
        named = {int(n): str(t) for n, t in zip(features["index"], features["name"], strict=True)}
    known = held_by(layer).get(CLASSES, ())
    codes = {(each.number, each.name): each.code for each in known}
    colors, found = _colors_of(layer), Segmentation()
    for number in sorted({*named, *numbers_in(np.asarray(layer.data))} - {0}):
        name, color = named.get(number, ""), color_of(number)
        if number in colors:
            red, green, blue = (round(255 * part) for part in colors[number][:3])
            color = (red, green, blue)
        unnamed = name == f"Segment {number}"
        code = codes.get((number, name))
        found = found.put(
            Segment(name="" if unnamed else name, number=number, color=color, code=code)
        )
    first = found.segments[0].number if found.segments else 0
    return Segmentation(found.segments, first)


def _rgba(segment: Segment) -> Rgba:
    red, green, blue = (round(part / 255, 6) for part in segment.color)
    return red, green, blue, 1.0 if segment.visible else 0.0


def _colors_of(layer: Labels) -> dict[int | None, Rgba]:
    """The colours that `layer` has label by label; none where napari chooses them."""
    if not isinstance(layer.colormap, DirectLabelColormap):
        return {}
    return {
        number: tuple(round(float(part), 6) for part in color)  # type: ignore[misc]
        for number, color in layer.colormap.color_dict.items()
    }
