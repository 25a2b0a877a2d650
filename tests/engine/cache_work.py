"""What two processes do to one disk cache at once; they must be able to import it."""

from dataclasses import dataclass

import numpy as np

from napari_medsam_lite.core.window import AS_STORED, Limits
from napari_medsam_lite.engine.disk_cache import OVERHEAD, DiskCache


@dataclass(frozen=True)
class Key:
    slice: int
    limits: Limits = AS_STORED


def key(index):
    return Key(index)


def array(value=0, count=1000):
    return (np.arange(count).reshape(2, -1) / 512 + value).astype(np.float16)


def write_and_read(folder, start):
    """Slices of its own, and some of both."""
    disk = DiskCache(folder, max_bytes=20 * (array().nbytes + OVERHEAD))
    for i in range(60):
        index = start + i if i % 2 else i % 10
        disk.put(key(index), array(index))
        found = disk.get(key((i * 7) % 10))
        assert found is None or np.array_equal(found, array((i * 7) % 10))
    assert disk.get(key(start + 59)) is not None
