"""From stored values to the 8 bits that the network was trained on.

The limits are fitted once on the volume and then used for every slice, as the published
preprocessing does (clip to the window, then stretch what is left of the volume to 0..255).
Levels and widths: the published MedSAM preprocessing (abdomen, brain, bone, mediastinum) and the
usual radiological settings for the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.errors import UnsupportedImageError
from napari_medsam_lite.core.settings import AUTO
from napari_medsam_lite.core.volume import Volume

MR_PERCENTILES = (0.5, 99.5)


@dataclass(frozen=True)
class Limits:
    """The values that become 0 and 255; below and above are clipped."""

    low: float
    high: float

    def to_uint8(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """Values of any shape to uint8 0..255, truncated as the published preprocessing does."""
        if self.high <= self.low:
            return np.zeros(values.shape, np.uint8)
        scaled = values.astype(np.float32)
        np.clip(scaled, self.low, self.high, out=scaled)
        scaled -= self.low
        scaled *= 255.0 / (self.high - self.low)
        return scaled.astype(np.uint8)


AS_STORED = Limits(0.0, 255.0)
BLACK_AND_WHITE = Limits(0.0, 1.0)
"""Of a mask, whatever the window: there is nothing between false and true to look into."""


class Window(Protocol):
    """Anything that can fit limits to a volume."""

    def fit(self, volume: Volume) -> Limits:
        """Limits for every slice of `volume`."""
        ...


@dataclass(frozen=True)
class CTWindow:
    """A CT window: `level` is its middle and `width` its extent, both in HU."""

    level: float
    width: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.level) and np.isfinite(self.width) and self.width > 0):
            raise UnsupportedImageError(
                "A CT window needs a finite level and a positive width, "
                f"not {self.level}, {self.width}."
            )

    def fit(self, volume: Volume) -> Limits:
        """The window's HU limits, drawn in to the values that the volume really has."""
        if _is_mask(volume):
            return BLACK_AND_WHITE
        low, high = self.level - self.width / 2, self.level + self.width / 2
        least, most = volume.extremes
        return Limits(float(np.clip(least, low, high)), float(np.clip(most, low, high)))


@dataclass(frozen=True)
class PercentileWindow:
    """For MR: percentiles of the voxels above zero."""

    low: float = MR_PERCENTILES[0]
    high: float = MR_PERCENTILES[1]

    def fit(self, volume: Volume) -> Limits:
        """The percentiles of `volume` as limits; 0, 0 for an empty image."""
        if _is_mask(volume):
            return BLACK_AND_WHITE
        positive = volume.data[volume.data > 0]
        if positive.size == 0:
            return Limits(0.0, 0.0)
        low, high = np.percentile(positive, [self.low, self.high])
        return Limits(float(low), float(high))


@dataclass(frozen=True)
class StoredWindow:
    """For images that hold 0..255 already: values as they are."""

    def fit(self, volume: Volume) -> Limits:
        """0 and 255.

        Raises
        ------
        UnsupportedImageError
            If the volume has values outside 0..255.
        """
        if _is_mask(volume):
            return BLACK_AND_WHITE
        if volume.extremes[0] < 0 or volume.extremes[1] > 255:
            raise UnsupportedImageError(
                f"{volume.name}: the values go beyond 0..255, so a window is needed; "
                "for CT choose one such as abdomen."
            )
        return AS_STORED


def _is_mask(volume: Volume) -> bool:
    return volume.data.dtype.kind == "b"


def _auto(volume: Volume) -> str:
    if volume.data.dtype == np.uint8:
        return "none"
    return "abdomen" if volume.modality in ("", "CT") else "mr"


WINDOWS: dict[str, Window] = {
    "abdomen": CTWindow(40, 400),
    "lung": CTWindow(-600, 1500),
    "bone": CTWindow(400, 1800),
    "brain": CTWindow(40, 80),
    "mediastinum": CTWindow(40, 400),
    "liver": CTWindow(30, 150),
    "soft tissue": CTWindow(50, 350),
    "mr": PercentileWindow(),
    "none": StoredWindow(),
}


def parse_window(text: str | Window | None, volume: Volume) -> Window:
    """A window from its name, from ``"LEVEL,WIDTH"`` in HU, or as it is.

    None and ``"auto"`` mean: as stored for 8-bit volumes, percentiles for those that are known to
    be no CT, abdomen for all others.

    Raises
    ------
    UnsupportedImageError
        If the text is neither a name nor two numbers.
    """
    if text is None or text == AUTO:
        return WINDOWS[_auto(volume)]
    if not isinstance(text, str):
        return text
    name = text.strip().lower().replace("-", " ").replace("_", " ")
    if name in WINDOWS:
        return WINDOWS[name]
    try:
        level, width = (float(part) for part in text.split(","))
    except ValueError:
        raise UnsupportedImageError(
            f"'{text}' is no window: give one of {', '.join(WINDOWS)}, or LEVEL,WIDTH in HU."
        ) from None
    return CTWindow(level, width)
