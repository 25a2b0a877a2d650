"""How long a CT of many DICOM slices takes to open, against pydicom alone decoding its files.

    python benchmarks/dicom_open.py SERIES [--slices 300]

SERIES is a folder with the files of one series. Its slices are copied, one behind the other, until
there are enough: once uncompressed, once as they are stored. All files are in the system's cache.
Printed, for each: seconds pydicom takes to decode all, seconds of `read_volume` and of the reader
that napari calls, and when the first slice could be shown.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import pydicom
from pydicom.uid import generate_uid

from napari_medsam_lite import read_volume
from napari_medsam_lite.io.dicom_files import find_files
from napari_medsam_lite.io.hooks import get_reader


def make(source: Path, target: Path, count: int, unpack: bool) -> None:
    """A series of `count` slices out of those in `source`."""
    slices = [pydicom.dcmread(path) for path in find_files(source)]
    slices.sort(key=lambda each: each.ImagePositionPatient[2])
    low, next_one = (float(each.ImagePositionPatient[2]) for each in slices[:2])
    if unpack:
        for each in slices:
            each.decompress()
    for index in range(count):
        each = slices[index % len(slices)]
        x, y, _ = each.ImagePositionPatient
        each.ImagePositionPatient = [x, y, low + index * (next_one - low)]
        each.InstanceNumber = index + 1
        each.file_meta.MediaStorageSOPInstanceUID = each.SOPInstanceUID = generate_uid()
        each.save_as(target / f"{index:04}.dcm")


def seconds(act, times: int = 3) -> float:
    """The shortest of some."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        act()
        taken.append(time.perf_counter() - started)
    return min(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("series", type=Path)
    parser.add_argument("--slices", type=int, default=300)
    options = parser.parse_args()
    for unpack in (True, False):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            make(options.series, folder, options.slices, unpack)
            paths = sorted(folder.iterdir())
            alone = seconds(lambda: [pydicom.dcmread(p).pixel_array for p in paths], 2)
            ours = seconds(lambda: read_volume(folder), 2)
            layers = seconds(lambda: get_reader(name)(name), 2)
            what = "uncompressed" if unpack else "as stored"
            print(
                f"{options.slices} slices, {what}: pydicom alone {alone:.2f} s, read_volume "
                f"{ours:.2f} s ({ours / alone:.2f} x), napari's reader {layers:.2f} s "
                f"({layers / alone:.2f} x)",
                flush=True,
            )


if __name__ == "__main__":
    main()
