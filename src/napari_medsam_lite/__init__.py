"""Fast LiteMedSAM segmentation of CT volumes, in napari and from the command line.

The public names are loaded on first use, so importing the package costs neither torch nor napari.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from napari_medsam_lite.core.boxes import Box2D, Box3D
    from napari_medsam_lite.core.errors import MedSAMLiteError
    from napari_medsam_lite.core.segmentation import Segment, Segmentation
    from napari_medsam_lite.core.volume import Volume
    from napari_medsam_lite.core.window import CTWindow
    from napari_medsam_lite.engine.predictor import VolumePredictor
    from napari_medsam_lite.io.formats import read_volume, write_labels
    from napari_medsam_lite.io.overlay import save_overlay

_HOMES = {
    "Box2D": "core.boxes",
    "Box3D": "core.boxes",
    "CTWindow": "core.window",
    "MedSAMLiteError": "core.errors",
    "Segment": "core.segmentation",
    "Segmentation": "core.segmentation",
    "Volume": "core.volume",
    "VolumePredictor": "engine.predictor",
    "read_volume": "io.formats",
    "save_overlay": "io.overlay",
    "write_labels": "io.formats",
}

__all__ = [
    "Box2D",
    "Box3D",
    "CTWindow",
    "MedSAMLiteError",
    "Segment",
    "Segmentation",
    "Volume",
    "VolumePredictor",
    "__version__",
    "read_volume",
    "save_overlay",
    "write_labels",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
