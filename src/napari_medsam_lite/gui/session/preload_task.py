"""What the first Add boxes needs, imported before it is pressed."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

from napari_medsam_lite.gui.thread.task import Task

MODULES = (
    "pandas",
    "scipy.spatial",
    "skimage.color.colorconv",
    "napari_medsam_lite.io.formats",
    "napari.layers.shapes.shapes",
    "napari.layers.labels.labels",
    "napari._vispy.layers.shapes",
    "napari._vispy.layers.labels",
    "napari._qt.layer_controls.qt_shapes_controls",
    "napari._qt.layer_controls.qt_labels_controls",
)
"""napari imports them with the first layer of their kind, which stopped the window for 1.5 s."""


class PreloadTask(Task):
    """Imports them one by one in idle time. What is not there is left to napari to miss."""

    def work(self) -> Iterator[str]:
        """One import a step, so that a job need not wait for all."""
        for name in MODULES:
            try:
                import_module(name)
            except ImportError:
                continue
            yield name
