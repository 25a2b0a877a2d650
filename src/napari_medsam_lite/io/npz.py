"""The challenge's npz: ``imgs`` with ``boxes``, ``gts`` and ``spacing`` in; ``segs`` out.

Boxes are x_min, y_min, [z_min,] x_max, y_max, [z_max], both ends inclusive. ``spacing`` is in the
order (x, y, z), as SimpleITK gives it to the published preprocessing; the arrays are (z, y, x).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.case import Case
from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.core.label_volume import LabelVolume
from napari_medsam_lite.core.volume import Source, Volume
from napari_medsam_lite.io.npz_arrays import array_names, read_arrays

WHAT = "an npz file"
_ARRAYS = ("imgs", "boxes", "gts", "spacing")
_LABELS = ("segs", "spacing")


def read_npz(path: Path) -> Case:
    """Read a case of the challenge. Objects are never unpickled.

    Parameters
    ----------
    path : path
        A file with ``imgs``: (D, H, W) integers, (H, W) or (H, W, 3) uint8; and, if they are there,
        ``boxes`` (N, 4) or (N, 6), ``gts`` of the shape of ``imgs`` without colour, ``spacing``
        in mm.

    Returns
    -------
    Case
        One (H, W) or (H, W, 3) image becomes a volume of a single slice. The file does not say how
        the patient lay: rows are taken to go from front to back and columns from the patient's
        right to left (LPS), as in the challenge's CT.

    Raises
    ------
    FileFormatError
        If the file holds pickled objects, arrays of the wrong shape, or none named ``imgs``.
    UnsupportedImageError
        If ``imgs`` is no image.
    ValueError, OSError, EOFError, zipfile.BadZipFile
        If the file is missing or damaged.
    """
    arrays = read_arrays(path, _ARRAYS)
    if "imgs" not in arrays:
        held = ", ".join(sorted(array_names(path))) or "nothing"
        raise FileFormatError(f"{path} has no array named 'imgs' (it holds: {held}).")
    boxes = arrays.get("boxes")
    data = _as_volume(arrays["imgs"], path, deep=boxes is not None and boxes.shape[-1:] == (6,))
    volume = _placed(data, arrays["imgs"].ndim < data.ndim, arrays.get("spacing"), path)
    gts = _truth(arrays.get("gts"), volume, path)
    return Case(volume, [] if boxes is None else _boxes(boxes, volume, path), gts)


def read_npz_labels(path: Path) -> LabelVolume:
    """Read the ``segs`` of a file that `write_npz` wrote.

    Raises
    ------
    FileFormatError
        If the file holds no ``segs``; else as `read_npz`.
    """
    arrays = read_arrays(path, _LABELS)
    labels = arrays.get("segs")
    if labels is None or labels.dtype.kind not in "iu" or labels.ndim not in (2, 3):
        raise FileFormatError(f"{path} holds no labels named 'segs'.")
    flat = labels.ndim == 2
    placed = _placed(labels[np.newaxis] if flat else labels, flat, arrays.get("spacing"), path)
    return LabelVolume.of(placed)


def npz_is_ours(path: Path) -> bool:
    """Whether there is an image or labels under our names: reads the list of contents only."""
    return not {"imgs", "segs"}.isdisjoint(array_names(path))


def npz_holds_labels(path: Path) -> bool:
    """Whether there are labels and no image: reads the list of contents only."""
    names = array_names(path)
    return "segs" in names and "imgs" not in names


def write_npz(path: Path, labels: LabelVolume, case: Case) -> None:
    """Write labels (Z, Y, X) as ``segs``, with ``spacing`` (x, y, z) in mm and the case's ``gts``.

    The labels of a 2D image are written as (H, W), as the challenge has them.
    """
    volume = case.volume
    header = volume.source.header if volume.source else None
    flat = volume.is_colour or (isinstance(header, tuple) and len(header) == 2)
    arrays: dict[str, Any] = {"segs": labels.data[0] if flat else labels.data}
    arrays["spacing"] = np.asarray(volume.spacing[::-1], np.float32)
    if case.gts is not None:
        arrays["gts"] = case.gts[0] if flat else case.gts
    np.savez_compressed(path, **arrays)


def _as_volume(images: NDArray[Any], path: Path, *, deep: bool) -> NDArray[Any]:
    """(Z, Y, X) or (1, Y, X, 3); `deep` tells (D, H, 3) from (H, W, 3) where boxes are 3D."""
    if images.ndim == 2:
        return images[np.newaxis]
    if images.ndim == 3 and images.shape[2] == 3 and images.shape[0] > 1 and not deep:
        if images.dtype != np.uint8:
            raise FileFormatError(
                f"{path}: a colour image (H, W, 3) must be uint8, not {images.dtype}."
            )
        return images[np.newaxis]
    return images


def _placed(data: NDArray[Any], flat: bool, spacing: NDArray[Any] | None, path: Path) -> Volume:
    """A volume in its place; `flat` if the file holds one slice without its own axis."""
    sizes = _spacing(spacing, path)
    affine = np.diag([sizes[0], -sizes[1], -sizes[2], 1.0])
    shape = data.shape[1:3] if flat else data.shape[:3]
    return Volume(data, sizes, affine, path.stem, Source(path, shape))


def _spacing(values: NDArray[Any] | None, path: Path) -> tuple[float, float, float]:
    """(z, y, x) in mm from the file's (x, y[, z]); 1 mm where the file has none."""
    if values is None:
        return 1.0, 1.0, 1.0
    if values.dtype.kind not in "iuf" or values.size not in (2, 3):
        raise FileFormatError(f"{path}: 'spacing' must be three numbers (x, y, z) in mm.")
    x, y, *z = (float(v) for v in values.ravel())
    return z[0] if z else 1.0, y, x


def _truth(gts: NDArray[Any] | None, volume: Volume, path: Path) -> NDArray[Any] | None:
    if gts is None:
        return None
    if gts.ndim == 2:
        gts = gts[np.newaxis]
    if gts.shape != volume.shape or gts.dtype.kind not in "iub":
        raise FileFormatError(
            f"{path}: 'gts' must be whole numbers of shape {volume.shape}, as the image is, "
            f"not {gts.dtype} of shape {gts.shape}."
        )
    return gts.astype(np.uint8) if gts.dtype.kind == "b" else gts


def _boxes(values: NDArray[Any], volume: Volume, path: Path) -> list[Box3D]:
    """Boxes from (N, 6), or (N, 4) for a single slice."""
    if values.size == 0:
        return []
    rows = np.atleast_2d(values)
    flat = volume.shape[0] == 1
    if rows.ndim != 2 or rows.shape[1] not in ((4, 6) if flat else (6,)):
        wanted = "(N, 4) or (N, 6)" if flat else "(N, 6)"
        raise FileFormatError(f"{path}: 'boxes' has shape {values.shape}; {wanted} is needed.")
    if rows.dtype.kind not in "iuf" or not np.isfinite(rows).all():
        raise FileFormatError(f"{path}: 'boxes' must be whole numbers, not {rows.dtype}.")
    if rows.shape[1] == 4:
        zero = np.zeros((len(rows), 1), rows.dtype)
        rows = np.hstack([rows[:, :2], zero, rows[:, 2:], zero])
    boxes = []
    for number, row in enumerate(np.rint(rows).astype(int).tolist(), start=1):
        x0, y0, z0, x1, y1, z1 = row
        if x0 > x1 or y0 > y1 or z0 > z1:
            raise FileFormatError(
                f"{path}: box {number} {row} ends before it starts; "
                "the order is x_min, y_min, z_min, x_max, y_max, z_max."
            )
        boxes.append(Box3D(z0, y0, x0, z1, y1, x1))
    return boxes
