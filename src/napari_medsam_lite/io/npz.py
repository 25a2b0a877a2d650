"""The challenge's npz: ``imgs`` with ``boxes``, ``gts`` and ``spacing`` in; ``segs`` out.

Boxes are x_min, y_min, [z_min,] x_max, y_max, [z_max], both ends inclusive. ``spacing`` is in the
order (x, y, z), as SimpleITK gives it to the published preprocessing; the arrays are (z, y, x).
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.case import Case
from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.core.files import replacing
from napari_medsam_lite.core.volume import Source, Volume
from napari_medsam_lite.io.guard import reading

_WHAT = "a challenge npz file"


def is_case(path: str | Path) -> bool:
    """Whether `path` is a zip with an ``imgs`` array: cheap, reads the list of contents only."""
    try:
        with zipfile.ZipFile(path) as archive:
            return "imgs.npy" in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def read_npz(path: str | Path) -> Case:
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
        If the file is damaged, holds pickled objects or arrays of the wrong shape.
    UnsupportedImageError
        If ``imgs`` is no image.
    """
    path = Path(path)
    with reading(path, _WHAT):
        arrays = _load(path)
    if "imgs" not in arrays:
        held = ", ".join(sorted(arrays)) or "nothing"
        raise FileFormatError(f"{path} has no array named 'imgs' (it holds: {held}).")
    boxes = arrays.get("boxes")
    data = _as_volume(arrays["imgs"], path, deep=boxes is not None and boxes.shape[-1:] == (6,))
    spacing = _spacing(arrays.get("spacing"), path)
    affine = np.diag([spacing[0], -spacing[1], -spacing[2], 1.0])
    shape = data.shape[:3] if arrays["imgs"].ndim == data.ndim else data.shape[1:3]
    volume = Volume(data, spacing, affine, path.stem, Source(path, shape))
    gts = _truth(arrays.get("gts"), volume, path)
    return Case(volume, [] if boxes is None else _boxes(boxes, volume, path), gts)


def write_npz(
    path: str | Path, labels: NDArray[Any], volume: Volume, gts: NDArray[Any] | None = None
) -> None:
    """Write labels (Z, Y, X) as ``segs``, with ``spacing`` (x, y, z) in mm and ``gts`` if given.

    The labels of a 2D image are written as (H, W), as the challenge has them.

    Raises
    ------
    FileFormatError
        If the file cannot be written.
    """
    header = volume.source.header if volume.source else None
    flat = volume.is_colour or (isinstance(header, tuple) and len(header) == 2)
    arrays: dict[str, Any] = {"segs": labels[0] if flat else labels}
    arrays["spacing"] = np.asarray(volume.spacing[::-1], np.float32)
    if gts is not None:
        arrays["gts"] = gts[0] if flat else gts
    with replacing(path) as temporary:
        np.savez_compressed(temporary, **arrays)


def read_npz_labels(path: str | Path) -> NDArray[Any]:
    """The ``segs`` of a file that `write_npz` wrote, as (Z, Y, X) integers.

    Raises
    ------
    FileFormatError
        If the file is missing, damaged, or holds no ``segs``.
    """
    path = Path(path)
    with reading(path, "an npz file of labels"):
        labels = _load(path).get("segs")
    if labels is None or labels.dtype.kind not in "iu" or labels.ndim not in (2, 3):
        raise FileFormatError(f"{path} holds no labels named 'segs'.")
    return labels if labels.ndim == 3 else labels[np.newaxis]


def _load(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays that a case may have, and the others' names with an empty array."""
    if not zipfile.is_zipfile(path):
        raise FileFormatError(
            f"{path} is not an npz file, or it is cut short: npz is a zip archive of arrays."
        )
    with np.load(path, allow_pickle=False) as archive:
        return {name: _member(archive, name, path) for name in archive.files}


def _member(archive: Any, name: str, path: Path) -> NDArray[Any]:
    if name not in ("imgs", "boxes", "gts", "spacing", "segs"):
        return np.empty(0)  # not ours: its name is enough
    try:
        return np.asarray(archive[name])
    except ValueError as error:
        if "pickle" not in str(error):
            raise
        raise FileFormatError(
            f"{path}: '{name}' is stored as pickled Python objects, which can run code when "
            "opened and are never read; save it as a plain number array."
        ) from error


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
