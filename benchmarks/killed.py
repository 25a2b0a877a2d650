"""The process that `kill.py` kills: it restores what is offered, edits, logs its states."""

from __future__ import annotations

import json
import os
import random
import time
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
from napari.components import ViewerModel
from qtpy.QtWidgets import QApplication

from napari_medsam_lite.core.boxes import Box2D
from napari_medsam_lite.engine.propagation.published import plan
from napari_medsam_lite.engine.propagation.slice_mask import SliceMask
from napari_medsam_lite.gui.session.controller import SessionController
from napari_medsam_lite.gui.session.engine import SessionEngine
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.gui.viewer.drawn_boxes import rectangle
from napari_medsam_lite.gui.viewer.geometry import Plane

SHAPE = (40, 128, 128)
EMPTY = zlib.crc32(np.zeros(SHAPE[1:], np.uint8))


class Segmenter:
    """Takes every box for the mask, in two milliseconds."""

    cache = SimpleNamespace(disk=None)

    def use(self, *_: Any) -> None: ...

    def interrupt(self) -> None: ...

    def load(self, *_: Any, **__: Any) -> Any:
        return SimpleNamespace(
            preset=SimpleNamespace(name="sdpa"),
            device="a fake CPU",
            target="cpu",
            checkpoint=SimpleNamespace(notice=None, sha256="0" * 64),
        )

    def segment_slice(self, prepared, index, boxes, detail):
        for i, box in enumerate(boxes):
            yield _mask(i, index, box, prepared)

    def segment(self, prepared, segments, settings, answered=None):
        for i, segment in enumerate(segments):
            for box in segment.boxes:
                for index in (each for way in plan(box, prepared.axis) for each in way):
                    yield _mask(i, index, box.plane(prepared.axis), prepared)

    def encode_outwards(self, *_: Any):
        yield from ()


def _mask(i, index, box, prepared):
    time.sleep(0.002)
    logits = np.ones((box.y1 - box.y0 + 1, box.x1 - box.x0 + 1), np.float32)
    frame = prepared.frame
    return SliceMask(i, index, 0.9, (box.y0, box.x0), logits, (frame.height, frame.width))


class Worker:
    """The process that is killed."""

    def __init__(self, folder: Path, number: int, seed: int) -> None:
        self.app = QApplication.instance() or QApplication([])
        self.random, self.folder = random.Random(seed), folder
        self.log = (folder / f"{number}.log").open("ab", buffering=0)
        self.last: object = None
        self.shown = np.memmap(folder / f"{number}.labels", np.uint16, "w+", shape=SHAPE)
        data = np.random.default_rng(0).integers(-1000, 1000, SHAPE, np.int16)
        self.viewer = ViewerModel()
        self.image = self.viewer.add_image(data, name="CT")
        self.session = SessionController(
            self.viewer, SessionState(read_ahead=False), SessionEngine(Segmenter)
        )
        saver = self.session.autosave
        look = saver._look_after

        def observed() -> bool:
            self.observe()  # first, so that whatever goes into the journal is in the log
            return look()

        saver._look_after = observed
        self.session.state.events.message.connect(self.on_message)
        self.session.open()

    def wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.app.processEvents()
            time.sleep(0.005)

    def on_message(self, message: str) -> None:
        if message.startswith("Saved as"):
            self.tell("saved")

    def begin(self) -> None:
        saver = self.session.autosave
        while not all(kept._is_open for kept in saver._kept.values()) or not saver._kept:
            self.wait(0.01)
        self.wait(0.01)
        offered = bool(self.session.state.unsaved)
        if offered:
            self.session.undo_actions.restore()
            while saver._reading is not None:
                self.wait(0.01)
        np.save(self.folder / "begin.npy", np.zeros(SHAPE) if self.labels is None else self.labels)
        self.tell("restored" if offered else "nothing")

    def observe(self) -> None:
        now = self.state()
        if now != self.last:
            self.last = now
            self.tell("state")

    def tell(self, what: str) -> None:
        if self.labels is not None:
            self.shown[...] = self.labels
        line = {"what": what, "at": time.monotonic(), "state": self.state()}
        os.write(self.log.fileno(), json.dumps(line).encode() + b"\n")

    def state(self) -> list[Any]:
        labels, boxes = self.labels, self.session.layers.boxes(self.image)
        slices = [EMPTY] * SHAPE[0] if labels is None else [zlib.crc32(plane) for plane in labels]
        drawn = [] if boxes is None else sorted(np.sort(b, 0).tolist() for b in boxes.data)
        found = self.session.state.segmentation.segments
        segments = [(s.number, s.name, s.locked, len(s.records)) for s in found if _counts(s)]
        return [slices, zlib.crc32(json.dumps([drawn, segments]).encode())]

    @property
    def labels(self):
        layer = self.session.layers.labels(self.image)
        return None if layer is None else layer.data

    def work(self) -> None:
        acts = [name for name in dir(self) if name.startswith("do_")]
        while True:
            act = getattr(self, self.random.choice(acts))
            self.session.told(act)
            self.observe()
            self.wait(self.random.uniform(0, 0.15))

    def do_box(self) -> None:
        shapes = self.session.layers.boxes_made(self.image)
        y, x, z = (self.random.randrange(n) for n in (80, 80, 40))
        height, width = self.random.randrange(5, 45), self.random.randrange(5, 45)
        box = Box2D(y, x, y + height, x + width)
        self.viewer.dims.set_current_step(0, z)
        shapes.add_rectangles(rectangle(box, Plane(0, z), 3))

    def do_paint(self) -> None:
        layer = self.session.layers.labels(self.image)
        if layer is not None:
            layer.brush_size = self.random.randrange(1, 30)
            number = self.random.choice([0, *(s.number for s in self.segments)])
            layer.paint([self.random.randrange(n) for n in SHAPE], number)

    do_paint_more = do_paint

    def do_new(self) -> None:
        if len(self.segments) < 6:
            self.session.segments.begin()

    def do_rename(self) -> None:
        if self.segments:
            number = self.random.choice(self.segments).number
            self.session.segments.rename(number, self.random.choice("abcdef"))

    def do_delete(self) -> None:
        if len(self.segments) > 3:
            self.session.segments.delete(self.random.choice(self.segments).number)

    def do_volume(self) -> None:
        if self.random.random() < 0.3:
            self.session.run_actions.segment_volume()

    def do_undo(self) -> None:
        self.session.undo_actions.undo_latest()

    def do_redo(self) -> None:
        self.session.undo_actions.redo_latest()

    def do_save(self) -> None:
        if self.random.random() < 0.5:
            self.session.saving.save(self.folder / "labels.nii.gz")

    @property
    def segments(self):
        return self.session.state.segmentation.segments


def _counts(segment) -> bool:
    """A segment that is only begun is no work, and may be lost."""
    return bool(segment.records or segment.name or segment.locked)
