"""A scripted person outlines the liver on a DICOM series, saves it three times, and opens it again.

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/dicom_day.py SERIES CASE -o PICTURES

SERIES is a folder of DICOM files, CASE one with ``labels.nii.gz`` and ``labels.csv`` of the same
image: they say where the liver is. The folder is dropped onto a real napari window (a drop event,
for no program drags files between X windows); all else is done with mouse and keys. Saved as
NIfTI, Slicer's segmentation and DICOM-SEG, each is opened on its CT in a new viewer: names, colours
and the places of all voxels in the world are compared with what was there. Pictures of each step
go into PICTURES.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from napari.utils.notifications import notification_manager
from person import Person
from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QTimer, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QAbstractButton, QApplication, QPushButton

from napari_medsam_lite import read_volume
from napari_medsam_lite.core.label_volume import on_grid_of
from napari_medsam_lite.io.formats import read_label_volume

ORGAN = "liver"
NAMES = ("liver.nii.gz", "liver.seg.nrrd", "liver.dcm")
PLUGIN = "napari-medsam-lite"
SAME_MM = 1e-3


class DicomPerson(Person):
    """Knows where the liver is on the DICOM series."""

    def __init__(self, series: Path, case: Path, pictures: Path) -> None:
        super().__init__(case, pictures)
        self.series = series
        self.truth = on_grid_of(read_label_volume(case / "labels.nii.gz"), read_volume(series))

    def drop(self, path: Path) -> None:
        """Drop a folder on the canvas, and choose the reader if napari asks."""
        self.hand.wait(1)
        self.hand.take_focus()
        target = self.viewer.window._qt_viewer
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(path))])
        left, bare = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        middle = target.rect().center()
        what = Qt.DropAction.CopyAction
        QApplication.sendEvent(target, QDragEnterEvent(QPoint(middle), what, data, left, bare))
        QTimer.singleShot(1500, self.choose_reader)
        QApplication.sendEvent(target, QDropEvent(QPointF(middle), what, data, left, bare))
        self.hand.until(lambda: self.state.image is not None)
        self.hand.take_focus()
        self.hand.wait(1)
        self.picture("opened")

    def choose_reader(self) -> None:
        dialog = QApplication.activeModalWidget()
        if dialog is None:
            return
        self.picture("which-reader")
        buttons = dialog.findChildren(QAbstractButton)
        self.hand.click(next(b for b in buttons if "MedSAM" in b.text() or PLUGIN in b.text()))
        pushed = dialog.findChildren(QPushButton)
        self.hand.click(next(b for b in pushed if b.text().replace("&", "") == "OK"))

    def save(self, path: Path) -> None:
        """By the dock's own button and the file dialog."""

        def choose() -> None:
            self.hand.type(str(path))
            self.picture(f"saving-{path.name}")
            self.hand.key("Return")

        QTimer.singleShot(1500, choose)
        self.hand.click(self.part("save"))
        self.finish()
        self.hand.take_focus()
        self.picture(f"saved-{path.name}")
        print(f"{path.name}: {self.state.message}", flush=True)

    def outlined(self) -> dict[str, Any]:
        """The labels layer as it is."""
        return look_at(self.viewer.layers[f"{self.state.image.name} labels"])

    def reopen(self, path: Path) -> dict[str, Any]:
        """The CT and a labels file in this new viewer."""
        self.viewer.open(str(self.series), plugin=PLUGIN)
        (labels,) = self.viewer.open(str(path), plugin=PLUGIN)
        middle = self.largest(ORGAN)
        self.viewer.dims.set_point(0, self.state.image.data_to_world((middle, 0, 0))[0])
        self.hand.take_focus()
        self.hand.wait(1)
        self.picture(f"again-{path.name}")
        return look_at(labels)


def look_at(labels: Any) -> dict[str, Any]:
    """Name, colour and the world positions (N, 3) of the first segment's voxels, in order."""
    names = dict(zip(labels.features["index"], labels.features["name"], strict=True))
    voxels = np.argwhere(labels.data == 1)
    matrix = np.stack([labels.data_to_world(unit) for unit in np.eye(3)])
    start = np.array(labels.data_to_world((0, 0, 0)))
    places = voxels @ (matrix - start) + start
    order = np.lexsort(np.rint(places * 100).T)
    return {"name": names[1], "color": labels.colormap.map(1)[:3], "places": places[order]}


def compare(path: Path, before: dict[str, Any], after: dict[str, Any]) -> bool:
    same = before["places"].shape == after["places"].shape
    apart = np.abs(before["places"] - after["places"]).max() if same else np.inf
    colours = np.abs(np.asarray(before["color"]) - after["color"]).max() * 255
    (code,) = {str(each.code and each.code.value) for each in read_label_volume(path).classes}
    print(
        f"{path.name}: {len(after['places'])} voxels of {len(before['places'])}, apart by "
        f"{apart:.1e} mm; name {after['name']!r} (was {before['name']!r}), colour apart by "
        f"{colours:.1f} of 255, code {code}",
        flush=True,
    )
    return bool(apart < SAME_MM and after["name"] == before["name"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("series", type=Path)
    parser.add_argument("case", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("dicom_day"))
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    with notification_manager, tempfile.TemporaryDirectory() as folder:
        person = DicomPerson(options.series.resolve(), options.case, options.output)
        person.drop(person.series)
        person.outline(ORGAN, first=True)
        for name in NAMES:
            person.save(Path(folder, name))
        before, taken = person.outlined(), person.taken
        person.viewer.close()
        person.hand.wait(0.5)
        good = []
        for name in NAMES:
            again = DicomPerson(options.series.resolve(), options.case, options.output)
            again.taken = taken
            good.append(compare(Path(folder, name), before, again.reopen(Path(folder, name))))
            taken = again.taken
            again.viewer.close()
            again.hand.wait(0.5)
    print("all the same" if all(good) else "NOT THE SAME")


if __name__ == "__main__":
    main()
