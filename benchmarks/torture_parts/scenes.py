"""What a plan begins with, and adds: images of all kinds that people have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray


def blobs(shape: tuple[int, ...], seed: int) -> NDArray[np.int16]:
    """Soft tissue with a few bright ellipsoids, in HU."""
    rng = np.random.default_rng(seed)
    grid = np.ogrid[tuple(slice(n) for n in shape)]
    data = rng.normal(-90, 15, shape)
    for _ in range(4):
        middles = [rng.uniform(0.2, 0.8) * n for n in shape]
        radii = [max(rng.uniform(0.15, 0.3) * n, 1) for n in shape]
        inside = sum(((g - m) / r) ** 2 for g, m, r in zip(grid, middles, radii, strict=True)) < 1
        data[inside] = rng.normal(90, 10, int(inside.sum()))
    return data.astype(np.int16)


def _ct(viewer: Any, seed: int) -> Any:
    place = {"scale": (4, 0.8, 0.8), "translate": (-30, 12, 7.5)}
    return viewer.add_image(blobs((12, 64, 80), seed), name="CT", **place)


def _flipped(viewer: Any, seed: int) -> Any:
    affine = np.diag([3.0, -0.8, -0.8, 1.0])
    affine[:3, 3] = (10, 60, 50)
    return viewer.add_image(blobs((10, 64, 64), seed), name="flipped", affine=affine)


def _film(viewer: Any, seed: int) -> Any:
    data = np.stack([blobs((6, 48, 48), seed + t) for t in range(3)])
    return viewer.add_image(data, name="film")


def _flat(viewer: Any, seed: int) -> Any:
    return viewer.add_image(blobs((64, 72), seed), name="flat")


def _colours(viewer: Any, seed: int) -> Any:
    channels = [np.clip(blobs((64, 72), seed + c) + 100, 0, 255) for c in range(3)]
    return viewer.add_image(np.stack(channels, -1).astype(np.uint8), name="colours", rgb=True)


def _lazy(viewer: Any, seed: int) -> Any:
    import dask.array

    data = dask.array.from_array(blobs((8, 64, 64), seed), chunks=(1, 64, 64))
    return viewer.add_image(data, name="lazy")


SCENES: dict[str, Callable[[Any, int], Any]] = {
    "ct": _ct,
    "flipped": _flipped,
    "film": _film,
    "flat": _flat,
    "colours": _colours,
    "lazy": _lazy,
}
"""Two of one kind have the same name and shape: two patients, as files call them."""
