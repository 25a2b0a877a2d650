"""The voxels of a stack: decoded in parallel, rescaled, and put on the stack's grid."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import Decoder, get_decoder
from pydicom.uid import UID

from napari_medsam_lite.core.cores import usable_cores
from napari_medsam_lite.core.errors import UnsupportedImageError
from napari_medsam_lite.io.dicom_attributes import open_inflated, parsing
from napari_medsam_lite.io.dicom_codestream import codestream_shape
from napari_medsam_lite.io.dicom_header import Encoding, Slice
from napari_medsam_lite.io.dicom_stack import Stack
from napari_medsam_lite.io.guard import check_memory

Progress = Callable[[int, int], None]

_AIR = -1024  # HU
_MOST_THREADS = 8
_QUIET = "pylibjpeg"  # on damaged JPEG 2000, gdcm writes to standard error past Python
_LOG = logging.getLogger("openjpeg")
_LOG.addHandler(logging.NullHandler())
_LOG.propagate = False


class _TooWideError(Exception):
    """The values of a slice do not fit the type that the volume was begun with."""


def read_pixels(
    stack: Stack, progress: Progress | None = None
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """The voxels (Z, Y, X) of the stack's grid, and what is told of them.

    Slope and intercept are applied: whole numbers stay whole (uint8 as stored, int16 or int32),
    others become float32.

    Parameters
    ----------
    stack : Stack
        From `stack_slices`.
    progress : callable, optional
        Called with (slices done, slices in all), in this thread.

    Raises
    ------
    ValueError, OSError
        If a file is damaged or cut short.
    UnsupportedImageError
        If the images are in colour, or compressed in a way that cannot be read.
    """
    slices = stack.slices
    data, told = _narrowest(slices, progress)
    if not stack.as_stored:
        check_memory(slices[0].path, int(np.prod(stack.shape)) * data.itemsize)
        data = _on_grid(stack, data)
    return data, told


def certain_type(slices: Sequence[Slice]) -> np.dtype[Any] | None:
    """The type that holds whatever the slices may hold by their headers; None if that is open."""
    kinds = [_claimed(one) for one in slices]
    lows, highs = zip(*kinds, strict=True)
    limits = np.iinfo(np.int16)
    fits = limits.min <= min(lows) and max(highs) <= limits.max
    whole = all(one.slope == 1 and one.intercept % 1 == 0 for one in slices)
    wide = all(one.encoding.options["bits_allocated"] == 16 for one in slices)
    return np.dtype(np.int16) if fits and whole and wide else None


def read_slice(one: Slice, target: NDArray[Any]) -> None:
    """Write the values of one slice into `target`, which is of `certain_type`.

    Raises
    ------
    ValueError, OSError
        If its file is damaged, cut short or gone.
    UnsupportedImageError
        If it is in colour, or compressed in a way that cannot be read.
    """
    (stored,) = _decoded([one])
    try:
        _rescale(stored, one, target)
    except _TooWideError as error:
        raise ValueError("its values are larger than its header says") from error


def same_pixels(a: Slice, b: Slice) -> bool:
    """Whether two slices hold the same image, voxel for voxel."""
    with parsing():
        (one,), (other,) = _decoded([a]), _decoded([b])
    scaled = (a.slope, a.intercept) == (b.slope, b.intercept)
    return scaled and np.array_equal(one, other)


def _claimed(one: Slice) -> tuple[float, float]:
    """The lowest and the highest value that a slice can hold by its header."""
    options = one.encoding.options
    count = 1 << options["bits_stored"]
    low = -count // 2 if options["pixel_representation"] else 0
    return low + one.intercept, low + count - 1 + one.intercept


def _narrowest(
    slices: Sequence[Slice], progress: Progress | None
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """The slices in the smallest type that holds them, by trying: headers often claim more."""
    (stored,) = _decoded(slices[:1])
    *narrow, widest = _types(stored, slices)
    for dtype in narrow:
        try:
            return _fill(slices, np.dtype(dtype), progress)
        except _TooWideError:
            pass
    return _fill(slices, np.dtype(widest), progress)


def _types(stored: NDArray[Any], slices: Sequence[Slice]) -> tuple[Any, ...]:
    """Which types to try for the volume, the smallest first."""
    if stored.dtype.kind == "f" or any(s.slope != 1 or s.intercept % 1 for s in slices):
        return (np.float32,)
    as_stored = stored.dtype == np.uint8 and not any(s.intercept for s in slices)
    return (np.uint8, np.int16, np.int32) if as_stored else (np.int16, np.int32)


def _fill(
    slices: Sequence[Slice], dtype: np.dtype[Any], progress: Progress | None
) -> tuple[NDArray[Any], tuple[str, ...]]:
    shape = slices[0].shape
    check_memory(slices[0].path, len(slices) * shape[0] * shape[1] * dtype.itemsize)
    data = np.empty((len(slices), *shape), dtype)
    padded: list[bool] = []

    def work(part: Sequence[int]) -> int:
        for index, stored in zip(part, _decoded([slices[i] for i in part]), strict=True):
            padded.append(_rescale(stored, slices[index], data[index]))
        return len(part)

    done = 0
    # Most decoders let other threads run; what is not compressed is read while others are copied.
    with ThreadPoolExecutor(min(usable_cores(), _MOST_THREADS)) as pool:
        futures = [pool.submit(work, part) for part in _parts(slices)]
        try:
            for future in as_completed(futures):
                done += future.result()
                if progress is not None:
                    progress(done, len(slices))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if not any(padded):
        return data, ()
    background = _background(slices[0])
    return data, (f"Padding, which is no measurement, is shown as {background}.",)


def _parts(slices: Sequence[Slice]) -> list[list[int]]:
    """Indices by file, so that each is read once."""
    parts: dict[Path, list[int]] = {}
    for index, one in enumerate(slices):
        parts.setdefault(one.path, []).append(index)
    return list(parts.values())


def _decoded(slices: Sequence[Slice]) -> Iterator[NDArray[Any]]:
    """The pixels (Y, X), as stored, of slices that are in one file."""
    path, encoding = slices[0].path, slices[0].encoding
    colours = encoding.options["photometric_interpretation"]
    if not colours.startswith("MONOCHROME"):
        raise UnsupportedImageError(
            f"{path}: a colour image ({colours}) cannot be segmented; a scalar image is needed."
        )
    decoder = _decoder(path, encoding.syntax)
    plugin = _QUIET if _QUIET in decoder.available_plugins else ""
    with open_inflated(path) as file:
        file.seek(encoding.element.start)
        for one in slices:
            if encoding.syntax.is_encapsulated:
                _check_codestream(file, one)
            try:
                stored, _ = decoder.as_array(
                    file, index=one.frame, raw=True, decoding_plugin=plugin, **encoding.options
                )
            except RuntimeError as error:
                raise ValueError("its pixels cannot be unpacked") from error
            yield _upright(stored, encoding) if colours == "MONOCHROME1" else stored


def _decoder(path: Path, syntax: UID) -> Decoder:
    with suppress(NotImplementedError):
        decoder = get_decoder(syntax)
        if decoder.is_available:
            return decoder
    raise UnsupportedImageError(
        f"{path}: images compressed as {syntax.name} cannot be read here; "
        "save them uncompressed, or as JPEG 2000 lossless."
    )


def _check_codestream(file: BinaryIO, one: Slice) -> None:
    start = file.tell()
    frame = get_frame(file, one.frame, number_of_frames=one.encoding.options["number_of_frames"])
    file.seek(start)
    inside = codestream_shape(frame)
    if inside not in (None, (*one.shape, 1)):
        raise ValueError(f"a frame is of shape {inside}, its header says {one.shape}")


def _upright(stored: NDArray[Any], encoding: Encoding) -> NDArray[Any]:
    """Bright where the image is dense: MONOCHROME1 has it the other way round."""
    signed = encoding.options["pixel_representation"]
    most = -1 if signed else (1 << encoding.options["bits_stored"]) - 1
    inverted: NDArray[Any] = most - stored.astype(np.int32)
    return inverted


def _rescale(stored: NDArray[Any], one: Slice, target: NDArray[Any]) -> bool:
    """Write the slice's values into `target`; whether padding was replaced.

    Raises
    ------
    _TooWideError
        If they do not fit its type.
    """
    if target.dtype.kind == "f":
        values: NDArray[Any] = stored.astype(np.float32)
        values *= np.float32(one.slope)
        values += np.float32(one.intercept)
    elif one.intercept or target.dtype != stored.dtype:
        values = stored.astype(np.int64 if stored.itemsize > 2 else np.int32)
        values += int(one.intercept)
    else:
        values = stored
    padded = False
    if one.padding is not None:
        low, high = one.padding
        padding = (stored >= low) & (stored <= high)
        background = _background(one)
        padded = bool((values[padding] != background).any())
        if padded:
            values = np.where(padding, background, values)
    if target.dtype.kind != "f" and values is not stored:
        limits = np.iinfo(target.dtype)
        if values.min() < limits.min or values.max() > limits.max:
            raise _TooWideError
    target[:] = values
    return padded


def _background(one: Slice) -> int:
    return _AIR if one.modality == "CT" else 0


def _on_grid(stack: Stack, data: NDArray[Any]) -> NDArray[Any]:
    """Slices moved aside within their planes, then interpolated along the normal."""
    if stack.aside.any():
        data = _moved(stack, data)
    out = np.empty(stack.shape, data.dtype)
    whole = data.dtype.kind != "f"
    for index, place in enumerate(stack.along):
        lower = min(int(place), len(data) - 1)
        share = place - lower
        if share < 1e-6 or lower + 1 == len(data):
            out[index] = data[lower]
            continue
        mixed = (1 - share) * data[lower] + share * data[lower + 1].astype(np.float64)
        out[index] = np.rint(mixed) if whole else mixed
    return out


def _moved(stack: Stack, data: NDArray[Any]) -> NDArray[Any]:
    from scipy import ndimage  # slow to import, and few stacks need it

    _, rows, columns = stack.shape
    height, width = data.shape[1:]
    out = np.empty((len(data), rows, columns), data.dtype)
    background = _background(stack.slices[0])
    for index, shift in enumerate(stack.aside):
        canvas = np.full((rows, columns), background, np.float32)
        canvas[:height, :width] = data[index]
        moved = ndimage.shift(canvas, shift, order=1, mode="constant", cval=background)
        out[index] = moved if data.dtype.kind == "f" else np.rint(moved)
    return out
