"""How long a CT of many DICOM slices takes to open, against pydicom alone decoding its files.

    xvfb-run -a python benchmarks/dicom_open.py SERIES [--slices 300]

SERIES is a folder with the files of one series. Its slices are copied, one behind the other, until
there are enough: once uncompressed, once as they are stored. All files are in the system's cache.
Printed, for each: seconds pydicom takes to decode all, of `read_volume`, of the reader that napari
calls with all slices looked at, and until a napari window shows the first slice.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("NAPARI_CONFIG", str(Path(tempfile.mkdtemp(), "settings.yaml")))

import napari
import numpy as np
import pydicom
from pydicom.uid import generate_uid
from qtpy.QtWidgets import QApplication

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


def seconds(act, times: int = 2) -> float:
    """The shortest of some."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        act()
        taken.append(time.perf_counter() - started)
    return min(taken)


def measure(folder: str, what: str, viewer: Any) -> None:
    """Print one line on the series in `folder`."""
    paths = sorted(Path(folder).iterdir())
    alone = seconds(lambda: [pydicom.dcmread(path).pixel_array for path in paths])
    ours = seconds(lambda: read_volume(folder))
    looked_at = seconds(lambda: np.asarray(get_reader(folder)(folder)[0][0]))
    shown = show(folder, viewer)
    print(
        f"{len(paths)} slices, {what}: pydicom alone {alone:.2f} s, read_volume {ours:.2f} s "
        f"({ours / alone:.2f} x), napari's reader until all slices were looked at {looked_at:.2f} "
        f"s ({looked_at / alone:.2f} x), first slice on the screen after {shown:.2f} s",
        flush=True,
    )


def show(folder: str, viewer: Any) -> float:
    """Seconds from `viewer.open` to the first slice on the canvas."""
    drawn: list[float] = []
    events = viewer.window._qt_viewer.canvas._scene_canvas.events

    def note(_: Any) -> None:
        if viewer.layers:
            drawn.append(time.perf_counter())

    events.draw.connect(note, position="last")
    started = time.perf_counter()
    viewer.open(folder, plugin="napari-medsam-lite")
    viewer.layers[0].refresh()
    while not drawn:
        QApplication.processEvents()
    events.draw.disconnect(note)
    viewer.layers.clear()
    return drawn[0] - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("series", type=Path)
    parser.add_argument("--slices", type=int, default=300)
    options = parser.parse_args()
    viewer = napari.Viewer(show=True)
    viewer.add_image(np.zeros((8, 8, 8)))  # napari is slow with the first layer of all
    QApplication.processEvents()
    viewer.layers.clear()
    for unpack in (True, False):
        with tempfile.TemporaryDirectory() as name:
            make(options.series, Path(name), options.slices, unpack)
            measure(name, "uncompressed" if unpack else "as stored", viewer)


if __name__ == "__main__":
    main()
