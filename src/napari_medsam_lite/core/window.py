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
AIR, BONE, PADDING = -100, 400, -1100
"""In HU: what is in every CT is below the first, mostly below the second, and above the third."""
THINNED = 64
"""So many rows and columns of a slice tell enough of its values."""


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
        if volume.is_lazy:
            return Limits(low, high)  # what no CT falls short of is not worth reading it all
        least, most = volume.extremes
        return Limits(float(np.clip(least, low, high)), float(np.clip(most, low, high)))


@dataclass(frozen=True)
class PercentileWindow:
    """For MR: percentiles of the voxels above zero; of all, if most others lie below."""

    low: float = MR_PERCENTILES[0]
    high: float = MR_PERCENTILES[1]

    def fit(self, volume: Volume) -> Limits:
        """The percentiles of `volume` as limits; 0, 0 for an empty image."""
        if _is_mask(volume):
            return BLACK_AND_WHITE
        values = volume.sample
        above = values[values > 0]
        # Images that were normalized have their background below zero, and much of what is seen.
        counted = above if above.size >= np.count_nonzero(values < 0) else values
        if counted.size == 0:
            return Limits(0.0, 0.0)
        low, high = np.percentile(counted, [self.low, self.high])
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
        if volume.data.dtype == np.uint8:
            return AS_STORED
        if volume.extremes[0] < 0 or volume.extremes[1] > 255:
            raise UnsupportedImageError(
                f"{volume.name}: the values go beyond 0..255, so a window is needed; "
                "for CT choose one such as abdomen."
            )
        return AS_STORED


def _is_mask(volume: Volume) -> bool:
    return volume.data.dtype.kind == "b"


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


def automatic_window(volume: Volume) -> str:
    """The name of the window for a volume: by its modality or, if that is not known, its voxels.

    As stored for 8-bit volumes, abdomen for CT and what holds HU, and mr for all others.
    """
    if volume.data.dtype in (np.uint8, np.bool_):
        return "none"
    is_ct = volume.modality == "CT" if volume.modality else _holds_hu(volume.sample)
    return "abdomen" if is_ct else "mr"


def _holds_hu(values: NDArray[Any]) -> bool:
    """Whether voxels are HU by the look of them, also of a CT that is clipped or resampled.

    There is air in every CT, or what it was clipped to, and hardly anything is denser than bone.
    Signed MR has a few negative voxels or, as phases and normalized images do, very many at both
    sides of zero.
    """
    thin = max(1, min(values.shape[1:]) // THINNED)
    values = values[:, ::thin, ::thin]
    inside = values[values > PADDING]
    whole = values.dtype.kind in "iu" or bool((inside == np.rint(inside)).all())
    if inside.size == 0 or not (whole or inside.min() < 5 * AIR):
        return False
    return bool(np.mean(inside <= AIR) >= 0.01 and np.mean(inside <= BONE) >= 0.5)


def parse_window(text: str | Window | None, volume: Volume) -> Window:
    """A window from its name, from ``"LEVEL,WIDTH"`` in HU, or as it is.

    None and ``"auto"`` mean the one of `automatic_window`.

    Raises
    ------
    UnsupportedImageError
        If the text is neither a name nor two numbers.
    """
    if text is None or text == AUTO:
        return WINDOWS[automatic_window(volume)]
    return text if not isinstance(text, str) else window_named(text)


def window_named(text: str) -> Window:
    """A window from its name or from ``"LEVEL,WIDTH"`` in HU.

    Raises
    ------
    UnsupportedImageError
        If the text is neither.
    """
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
