"""What napari's File > Open Sample calls."""

from __future__ import annotations

from napari_medsam_lite.core.case import Case
from napari_medsam_lite.io.layers import LayerData, case_layers
from napari_medsam_lite.sample.ct import ct_phantom, totalseg_ct


def phantom_layers() -> list[LayerData]:
    """Make the sample "CT phantom": the image, its truth hidden, a box an organ in the metadata.

    Without the layer of boxes: drawing them is what the sample is there to try.
    """
    sample = ct_phantom()
    case = Case(sample.volume, list(sample.boxes), sample.truth)
    return [layer for layer in case_layers(case, sample.names) if layer[2] != "shapes"]


def totalseg_layers() -> list[LayerData]:
    """Make the sample "Real CT", fetched the first time; errors as `sample.totalseg_ct`."""
    return case_layers(Case(totalseg_ct()))
