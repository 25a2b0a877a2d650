"""Sample data: a drawn CT with its truth, and a real CT from TotalSegmentator's tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.core.files import cache_folder
from napari_medsam_lite.core.volume import Source, Volume
from napari_medsam_lite.io.formats import read_volume

BOX_MARGIN = 2

# An abdominal CT of 30 slices, 0.5 MB, Apache-2.0 repository. The tag first, because what it names
# does not change; the branch in case the tag is moved away. The hash decides in both cases.
TOTALSEG_FILE = "tests/reference_files/example_ct_sm.nii.gz"
TOTALSEG_URLS = tuple(
    f"https://raw.githubusercontent.com/wasserth/TotalSegmentator/{version}/{TOTALSEG_FILE}"
    for version in ("v2.8.0", "master")
)
TOTALSEG_SHA256 = "e50c00b2914e2cac0aaee8e7f3b5f57d44d9f21bfd5c0577271c54c0cb49e9fb"
TOTALSEG_NAME = "totalsegmentator_example_ct.nii.gz"


@dataclass(frozen=True, eq=False)
class Sample:
    """An image whose answer is known.

    Parameters
    ----------
    volume : Volume
        The image.
    truth : ndarray
        (Z, Y, X) uint8: 0, or i for ``names[i - 1]``.
    names : tuple of str
        The objects.
    boxes : tuple of Box3D
        One an object, in the order of `names`.
    """

    volume: Volume
    truth: NDArray[np.uint8]
    names: tuple[str, ...]
    boxes: tuple[Box3D, ...]


def ct_phantom(seed: int = 0) -> Sample:
    """Draw an abdominal CT with liver, spleen, kidneys, aorta and gallbladder.

    The same seed gives the same voxels. The boxes are tight around each organ and grown by two
    voxels in the slice; each is drawn on the organ's largest slice.

    Returns
    -------
    Sample
        HU (64, 256, 256) int16 of 3 x 1.5 x 1.5 mm, LPS as CT slices are shown.
    """
    from napari_medsam_lite.sample import phantom  # takes scipy along: only when drawn

    hu, truth = phantom.draw(seed)
    affine = np.diag([1, -1, -1, 1]) * np.array([*phantom.SPACING, 1.0])
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(phantom.SHAPE) - 1) / 2)
    volume = Volume(hu, phantom.SPACING, affine, "ct_phantom", Source(Path("ct_phantom")))
    ids = range(1, len(phantom.ORGANS) + 1)
    boxes = tuple(_box(truth == organ) for organ in ids)
    return Sample(volume, truth, phantom.ORGANS, boxes)


def totalseg_ct(folder: str | Path | None = None) -> Volume:
    """Fetch the real CT of TotalSegmentator's tests, or take it from the cache.

    Parameters
    ----------
    folder : path, optional
        Where to keep the file; default: the operating system's cache.

    Returns
    -------
    Volume
        HU (30, 101, 122) int16 of 3 mm.

    Raises
    ------
    FileFormatError
        If there is no network and no cached file, or the file is not the expected one.
    """
    import pooch

    where = Path(folder) if folder else cache_folder("samples")
    problem: Exception | None = None
    for url in TOTALSEG_URLS:
        try:
            return read_volume(
                pooch.retrieve(url, f"sha256:{TOTALSEG_SHA256}", TOTALSEG_NAME, where)
            )
        except (
            OSError,
            ValueError,
        ) as error:  # requests' errors are OSErrors; a wrong hash: ValueError
            problem = problem or error
    raise FileFormatError(
        "The real CT sample could not be fetched: it needs the network the first time "
        f"({_short(problem)}); the CT phantom is there without it."
    ) from problem


def _short(error: Exception | None) -> str:
    if isinstance(error, PermissionError):
        return "the cache folder may not be written"
    if isinstance(error, ValueError):
        return "the file there is not the expected one"
    return f"no answer from {TOTALSEG_URLS[0].split('/')[2]}"


def _box(mask: NDArray[np.bool_]) -> Box3D:
    """The tight box of a (Z, Y, X) mask, grown in the slice, drawn on its largest slice."""
    spans = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        there = np.flatnonzero(mask.any(axis=others))
        margin = BOX_MARGIN if axis else 0
        spans.append(
            (max(int(there[0]) - margin, 0), min(int(there[-1]) + margin, mask.shape[axis] - 1))
        )
    (z0, z1), (y0, y1), (x0, x1) = spans
    key = int(mask.sum(axis=(1, 2)).argmax())
    return Box3D(z0, y0, x0, z1, y1, x1, key)
