"""A volume made ready to be segmented: frozen, and handed to every call."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.errors import UnsupportedImageError
from napari_medsam_lite.core.frame import ModelFrame
from napari_medsam_lite.core.volume import Volume, check_finite
from napari_medsam_lite.core.window import Limits, Window, parse_window
from napari_medsam_lite.engine.look import Look
from napari_medsam_lite.engine.preprocess import encoder_frames

SQUARE = 1e-3
"""Pixels whose sides differ by less than this share are square: headers round their spacing."""


@dataclass(frozen=True, eq=False)
class PreparedVolume:
    """What of a volume decides what the network sees.

    Attributes
    ----------
    volume : Volume
        HU, counts or 8 bit; (Z, Y, X).
    axis : int
        The slices lie across this array axis.
    limits : Limits
        The values that become 0 and 255, fitted once on the whole volume, or on what of a lazy one
        must be read for that.
    frame : ModelFrame
        Where the pixels of a whole slice lie in the network's frame.
    """

    volume: Volume
    axis: int
    limits: Limits
    frame: ModelFrame

    @property
    def slice_count(self) -> int:
        """How many slices there are across the axis."""
        return self.volume.shape[self.axis]

    @property
    def pixel_mm(self) -> tuple[float, float]:
        """(row, column) size of a voxel on a slice, in mm."""
        return _pixel_mm(self.volume.spacing, self.axis)

    @property
    def as_published(self) -> PreparedVolume:
        """The same with voxels taken for square, whatever their spacing, and OpenCV's resize."""
        frame = ModelFrame(self.frame.height, self.frame.width)
        return self if frame == self.frame else replace(self, frame=frame)

    def across(self, axis: int) -> PreparedVolume:
        """The same volume and limits for slices across another axis.

        Raises
        ------
        UnsupportedImageError
            If there is no such axis.
        """
        if axis == self.axis:
            return self
        return replace(
            self, axis=axis, frame=frame_across(self.volume.shape, self.volume.spacing, axis)
        )

    def encoder_frames(self, looks: Sequence[Look]) -> NDArray[np.float32]:
        """What `looks` of one side show, as the encoder takes it: (B, 3, side, side) in [0, 1].

        Raises
        ------
        UnsupportedImageError
            If there are NaN or infinite voxels by now.
        """
        return np.concatenate([self._encoder_frame(look) for look in looks])

    def hash_look(self, look: Look) -> str:
        """A hash of what `look` shows now; a millisecond for 512 x 512 of int16."""
        voxels = np.ascontiguousarray(self._voxels(look))
        digest = hashlib.blake2b(repr((voxels.shape, voxels.dtype.str)).encode(), digest_size=16)
        digest.update(voxels.data)
        return digest.hexdigest()

    def _voxels(self, look: Look) -> NDArray[Any]:
        return self.volume.slices(self.axis, [look.index])[:, *look.window]

    def _encoder_frame(self, look: Look) -> NDArray[np.float32]:
        voxels = self._voxels(look)
        if self.volume.data.dtype.kind == "f":
            # They may have been edited in place since the volume was prepared.
            check_finite(replace(self.volume, data=voxels))
        return encoder_frames(voxels, self.limits, look.frame)


def prepare_volume(
    volume: Volume, window: str | Window | None = None, axis: int = 0
) -> PreparedVolume:
    """Make `volume` ready for slices across `axis`.

    Parameters
    ----------
    volume : Volume
        HU, counts or 8 bit.
    window : str or Window, optional
        A name of `core.window.WINDOWS`, ``"LEVEL,WIDTH"`` in HU, or a window. Default: the one of
        `core.window.automatic_window`.
    axis : int
        0 axial, 1 coronal, 2 sagittal for a CT stack.

    Raises
    ------
    UnsupportedImageError
        If the axis or the window does not fit, or the volume holds NaN or infinite voxels.
    """
    frame = frame_across(volume.shape, volume.spacing, axis)
    chosen = parse_window(window, volume)
    check_finite(volume)
    return PreparedVolume(volume, axis, chosen.fit(volume), frame)


def frame_across(
    shape: tuple[int, int, int], spacing: tuple[float, float, float], axis: int
) -> ModelFrame:
    """The frame of whole slices across `axis` of a volume: (Z, Y, X) `shape`, `spacing` in mm.

    Raises
    ------
    UnsupportedImageError
        If there is no such axis.
    """
    if axis not in (0, 1, 2):
        raise UnsupportedImageError(f"The axis must be 0, 1 or 2, not {axis}.")
    height, width = (size for a, size in enumerate(shape) if a != axis)
    rows, columns = _pixel_mm(spacing, axis)
    aspect = rows / columns
    frame = ModelFrame(height, width, 1.0 if abs(aspect - 1) < SQUARE else aspect)
    return replace(frame, linear=frame.enlarges)


def _pixel_mm(spacing: tuple[float, float, float], axis: int) -> tuple[float, float]:
    rows, columns = (size for a, size in enumerate(spacing) if a != axis)
    return rows, columns
