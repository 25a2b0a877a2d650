"""Names and colours of labels in a napari layer: its ``features`` and its ``colormap``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from napari_medsam_lite.core.labelset import LabelClass, class_named

_LARGEST_NUMBER = 65535
_UNNAMED = (1.0, 1.0, 0.0, 1.0)


def classes_to_layer(classes: Iterable[LabelClass]) -> dict[str, Any]:
    """What to give a Labels layer so that it shows the classes; nothing for none."""
    classes = tuple(classes)
    if not classes:
        return {}
    colors: dict[int | None, tuple[float, ...]] = {None: _UNNAMED, 0: (0.0, 0.0, 0.0, 0.0)}
    colors |= {each.number: (*(part / 255 for part in each.color), 1.0) for each in classes}
    return {
        "features": {
            "index": [0, *(each.number for each in classes)],
            "name": ["", *(each.name for each in classes)],
        },
        "colormap": colors,
    }


def classes_of_layer(
    meta: dict[str, Any], known: Iterable[LabelClass] = ()
) -> tuple[LabelClass, ...]:
    """The classes that a Labels layer shows, from what napari hands to writers.

    Codes come from the classes that are `known` of the layer's file, by number and name, or from
    the sets that are built in, by name.
    """
    features = meta.get("features")
    if features is None or not {"index", "name"} <= set(features):
        return ()
    codes = {(each.number, each.name): each.code for each in known}
    colors = getattr(meta.get("colormap"), "color_dict", {})
    found: dict[int, LabelClass] = {}
    for index, name in zip(features["index"], features["name"], strict=True):
        number = int(index)
        if not 0 < number <= _LARGEST_NUMBER:
            continue
        each = class_named(number, str(name))
        if number in colors:
            red, green, blue = (round(255 * float(part)) for part in colors[number][:3])
            each = replace(each, color=(red, green, blue))
        found[number] = replace(each, code=codes.get((number, each.name), each.code))
    return tuple(found.values())
