"""A scripted person outlines liver, spleen and aorta in a real napari window, with mouse and keys.

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/person.py CASE -o PICTURES

CASE is a folder with ``ct.nii.gz``, ``labels.nii.gz`` and ``labels.csv``. The person opens the
file from an empty viewer, names segments, draws, drags a corner, adds a second key box, sets a
range, cancels, continues, undoes, redoes and changes the window. Printed: presses, keys and seconds
an organ, Dice against the truth; 30 drags, from the release of the button to the screen; the
masks that are seen while a corner is dragged; the longest time that napari's event loop stood
still. A picture of each step goes into PICTURES.
"""

from __future__ import annotations

import argparse
import csv
import os
import tempfile
import time
from functools import partial
from pathlib import Path

os.environ.setdefault("NAPARI_CONFIG", str(Path(tempfile.mkdtemp(), "settings.yaml")))

import napari
import numpy as np
from hand import Hand
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QPoint, Qt, QTimer
from qtpy.QtWidgets import QWidget

from napari_medsam_lite import read_volume

ORGANS = ("liver", "spleen", "aorta")
MARGIN = 2
DRAGS = 30
MOVES = 60
BEAT_MS = 10


class Person:
    """Who knows the anatomy (from the truth) and uses the dock."""

    def __init__(self, case: Path, pictures: Path) -> None:
        self.case, self.pictures = case, pictures
        self.truth = read_volume(case / "labels.nii.gz").data
        rows = csv.DictReader((case / "labels.csv").read_text().splitlines())
        self.numbers = {row["name"]: int(row["id"]) for row in rows}
        self.viewer = napari.Viewer(title="napari")
        self.dock, self.widget = self.viewer.window.add_plugin_dock_widget(
            "napari-medsam-lite", "Segment"
        )
        self.hand, self.state = Hand(self.viewer), self.widget.state
        self.viewer.window._qt_window.setGeometry(0, 0, 1600, 1000)
        self.viewer.window._qt_window.resizeDocks([self.dock], [340], Qt.Orientation.Horizontal)
        self.taken = 0
        self.beats: list[float] = []
        self.last_beat = 0.0
        self.timer = QTimer()
        self.timer.timeout.connect(self.beat)
        self.timer.start(BEAT_MS)

    def beat(self) -> None:
        """Note how long the event loop stood still, while something was computed."""
        now = time.perf_counter()
        computing = self.state.busy or self.widget.session.runs.live.waits
        if computing and self.last_beat:
            self.beats.append(now - self.last_beat)
        self.last_beat = now if computing else 0.0

    def part(self, name: str) -> QWidget:
        (found,) = self.widget.findChildren(QWidget, name)
        return found

    def picture(self, name: str) -> None:
        self.taken += 1
        self.hand.picture(self.pictures / f"{self.taken:02}-{name}.png")

    def open_file(self) -> None:
        """By the dock's own button and napari's file dialog."""
        hand = self.hand
        hand.wait(1)
        hand.take_focus()
        self.picture("empty")

        def choose() -> None:
            hand.type(str(self.case / "ct.nii.gz"))
            hand.key("Return")

        QTimer.singleShot(1500, choose)
        hand.click(self.part("open_files"))
        hand.until(lambda: self.state.image is not None)
        hand.take_focus()
        hand.wait(1)
        self.picture("opened")

    def go(self, index: int) -> None:
        """Step to a slice with the arrow keys, as people do who look at each."""
        self.on_canvas()
        while (now := int(self.viewer.dims.current_step[0])) != index:
            self.hand.key("Right" if index > now else "Left")

    def on_canvas(self) -> None:
        canvas = self.viewer.window._qt_viewer.canvas.native
        canvas.setFocus()

    def box(self, organ: str, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Two corners round the organ on a slice."""
        rows, columns = np.nonzero(self.truth[index] == self.numbers[organ])
        low = np.array([index, rows.min() - MARGIN, columns.min() - MARGIN], float)
        high = np.array([index, rows.max() + MARGIN, columns.max() + MARGIN], float)
        return low, high

    def slices(self, organ: str) -> np.ndarray:
        return np.flatnonzero((self.truth == self.numbers[organ]).any(axis=(1, 2)))

    def largest(self, organ: str) -> int:
        return int(np.argmax((self.truth == self.numbers[organ]).sum(axis=(1, 2))))

    def draw(self, organ: str, index: int) -> float:
        """Drag a box, and wait for its mask on the screen; seconds from the release."""
        image = self.state.image
        return self.answered(lambda: self.hand.drag(image, *self.box(organ, index)))

    def answered(self, gesture) -> float:
        """Do something with the mouse; seconds from the release to the mask on the screen."""
        drawn: list[float] = []
        events = self.viewer.window._qt_viewer.canvas._scene_canvas.events
        connected = events.draw.connect(
            lambda _: drawn.append(time.perf_counter()), position="last"
        )
        self.state.tell("")
        gesture()
        live = self.widget.session.runs.live
        self.hand.until(lambda: not live.waits and "score" in self.state.message)
        done = time.perf_counter()
        self.hand.until(lambda: drawn and drawn[-1] >= done - 0.02, 2, must=False)
        events.draw.disconnect(connected)
        return drawn[-1] - self.hand.released

    def name(self, organ: str) -> None:
        """Double-click the current row's name, and type."""
        table = self.part("segments")
        self.hand.wait(0.4)
        row = table.visualItemRect(table.currentItem())
        place = QPoint(table.columnViewportPosition(1) + 20, row.center().y())
        self.hand.press_at(table.viewport().mapToGlobal(place), times=2)
        self.hand.type(organ)
        self.hand.key("Return")
        self.hand.wait(0.4)

    def outline(self, organ: str, first: bool) -> None:
        hand, started = self.hand, time.perf_counter()
        presses, keys = hand.presses, hand.keys
        middle = self.largest(organ)
        self.go(middle)
        if not first:
            hand.key("n")
        hand.key("shift+b")
        self.name(organ)
        self.picture(f"{organ}-ready-to-draw")
        self.on_canvas()
        seconds = self.draw(organ, middle)
        self.picture(f"{organ}-drawn")
        there = self.slices(organ)
        for key, end in (("shift+i", there[0]), ("shift+o", there[-1])):
            self.go(int(end))
            hand.key(key)
        other = int(there[0] if middle - there[0] > there[-1] - middle else there[-1])
        if abs(other - middle) > 3:
            between = (other + middle) // 2
            self.go(between)
            self.draw(organ, between)
            self.picture(f"{organ}-second-key-box")
        hand.key("shift+g")
        hand.until(lambda: self.state.busy)
        self.finish()
        self.picture(f"{organ}-volume")
        found = self.viewer.layers[f"{self.state.image.name} labels"].data
        number = self.state.segmentation.current
        mine, true = found == number, self.truth == self.numbers[organ]
        dice = 2 * (mine & true).sum() / (mine.sum() + true.sum())
        print(
            f"{organ}: Dice {dice:.3f}, {hand.presses - presses} presses, {hand.keys - keys} keys, "
            f"{time.perf_counter() - started:.1f} s; first mask {seconds:.2f} s after the release",
            flush=True,
        )

    def finish(self) -> None:
        self.hand.until(lambda: not self.state.busy)
        self.hand.wait(0.5)

    def mend(self) -> None:
        """A corner, a run that is stopped and goes on, back and forth, another window."""
        hand, labels = self.hand, self.viewer.layers[f"{self.state.image.name} labels"]
        shapes = self.viewer.layers.selection.active
        hand.key("ctrl+1")
        middle = self.largest(ORGANS[0])
        self.go(middle)
        corner = np.max(shapes.data[0], axis=0)
        shapes.mode = "select"
        hand.press_at(QPoint(*hand.on_screen(self.state.image, (shapes.data[0][0] + corner) / 2)))
        self.picture("box-selected")
        dragged = self.answered(
            lambda: hand.drag(self.state.image, corner, np.add(corner, (0, 8, 8)))
        )
        self.picture("corner-dragged")
        print(f"corner dragged: mask {dragged:.2f} s after the release, {self.state.message}")
        hand.key("Escape")
        shapes.selected_data = set()
        self.on_canvas()
        hand.key("shift+g")
        hand.until(lambda: self.state.done > 0)
        self.picture("running")
        hand.key("h")
        self.picture("cancelled")
        print(f"halted: {self.state.message}")
        if self.state.resumable:
            hand.key("shift+h")
            self.finish()
            print(f"continued: {self.state.message}")
        before = labels.data.copy()
        hand.key("ctrl+z")
        print(f"undone: {self.state.message} ({np.count_nonzero(before != labels.data)} voxels)")
        self.picture("undone")
        hand.key("ctrl+shift+z")
        same = np.array_equal(before, labels.data)
        print(f"redone: {self.state.message} (as before: {same})")
        for number, name in ((2, "second"), (1, "first")):
            hand.key(f"alt+{number}")
            self.picture(f"{name}-window")
            print(f"window: {self.state.window}, {self.state.image.contrast_limits}")

    def drags(self) -> None:
        """The same box again and again, a little elsewhere each time."""
        hand, shapes = self.hand, self.viewer.layers.selection.active
        hand.key("n")
        hand.key("shift+b")
        index = self.largest(ORGANS[0])
        self.go(index)
        low, high = self.box("spleen", self.largest("spleen"))
        low[0] = high[0] = index
        seconds = []
        for number in range(DRAGS + 1):
            shift = np.array([0, number % 6, number % 5], float)
            took = self.answered(partial(hand.drag, self.state.image, low + shift, high + shift))
            seconds += [took] if number else []  # the first one encodes
            hand.key("ctrl+z")
        milliseconds = 1000 * np.array(seconds)
        print(
            f"{DRAGS} live drags, release to screen: median {np.median(milliseconds):.0f} ms, "
            f"p95 {np.percentile(milliseconds, 95):.0f} ms; shapes left {shapes.nshapes}"
        )

    def moves(self) -> None:
        """A corner is dragged for some seconds: how many masks are seen on the way."""
        hand, shapes = self.hand, self.viewer.layers.selection.active
        labels = self.viewer.layers[f"{self.state.image.name} labels"]
        index = self.largest(ORGANS[0])
        self.go(index)
        row = next(n for n, box in enumerate(shapes.data) if round(box[0, 0]) == index)
        corners = np.array(shapes.data[row])
        shapes.mode = "select"
        hand.press_at(QPoint(*hand.on_screen(self.state.image, corners[:3].mean(axis=0))))
        seen: dict[int, float] = {}
        events = self.viewer.window._qt_viewer.canvas._scene_canvas.events
        connected = events.draw.connect(
            lambda _: seen.setdefault(hash(labels.data[index].tobytes()), time.perf_counter()),
            position="last",
        )
        corner = np.max(corners, axis=0)
        started = time.perf_counter()
        hand.drag(self.state.image, corner, np.add(corner, (0, 40, 40)), steps=MOVES)
        moved = time.perf_counter() - started
        shown = sum(when < hand.released for when in seen.values())
        live = self.widget.session.runs.live
        hand.until(lambda: not live.waits)
        hand.wait(0.3)
        events.draw.disconnect(connected)
        last = max(seen.values()) - hand.released
        print(
            f"a corner dragged for {moved:.1f} s: {shown} masks on the way, the last one "
            f"{1000 * last:.0f} ms after the release"
        )

    def gaps(self) -> None:
        """While something was computed; a picture of the screen stops the loop by itself."""
        gaps = 1000 * np.array(self.beats)
        print(f"event loop: median gap {np.median(gaps):.0f} ms, longest {gaps.max():.0f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("case", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("person"))
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    with notification_manager:
        person = Person(options.case, options.output)
        person.open_file()
        for number, organ in enumerate(ORGANS):
            person.outline(organ, first=number == 0)
        person.mend()
        person.drags()
        person.moves()
        person.gaps()
        person.viewer.close()
        person.hand.wait(0.5)


if __name__ == "__main__":
    main()
