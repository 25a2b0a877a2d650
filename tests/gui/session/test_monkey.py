"""A monkey at the desk: whatever is done in whatever order, what is shown stays true."""

import random
import threading

import numpy as np
import pytest
from qtpy.QtWidgets import QApplication

from napari_medsam_lite.core.boxes import Box2D
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.engine.replay import replay
from napari_medsam_lite.engine.tally import Tally
from napari_medsam_lite.gui.thread.worker import THREAD_NAME
from napari_medsam_lite.gui.viewer.box_layer import Boxes
from napari_medsam_lite.gui.viewer.drawn_boxes import rectangle
from napari_medsam_lite.gui.viewer.geometry import Plane

ACTIONS = 150
HAND = ("paint", "delete_segment", "undo", "redo", "there_and_back")
"""What may change voxels that a person painted."""


class Monkey:
    def __init__(self, session, viewer, segmenter, seed):
        self.session, self.viewer, self.segmenter = session, viewer, segmenter
        self.random = random.Random(seed)
        self.actions = [name[3:] for name in dir(self) if name.startswith("do_")]

    @property
    def desk(self):
        return self.session.desks.chosen()

    @property
    def segmentation(self):
        return self.session.state.segmentation

    def act(self):
        """Do anything, and see whether what must stay has stayed."""
        action = self.random.choice(self.actions)
        before, locked, held = self.voxels(), self.segmentation.locked, self.held()
        getattr(self, f"do_{action}")()
        QApplication.processEvents()
        self.check_what_is_shown()
        now = self.voxels()
        if before is None or now is None:
            return
        changed = before != now
        if action != "lock":
            assert not (changed & np.isin(before, list(locked))).any(), f"{action}: locked"
        if held is not None and action not in HAND:
            assert not (changed & held).any(), f"{action}: painted by hand"

    def voxels(self):
        return None if self.desk.labels is None else self.desk.labels.data.copy()

    def held(self):
        held = None if self.desk.masks is None else self.desk.masks.brush.held
        return None if held is None else held.copy()

    def check_what_is_shown(self):
        desk, state = self.desk, self.session.state
        numbers = [each.number for each in state.segmentation.segments]
        assert state.segmentation == desk.segmentation
        assert not (state.busy or self.session.runs.live.waits) or self.session.runner.busy
        if desk.boxes is not None:
            assert set(desk.boxes.features["label"]) <= set(numbers)
        if desk.labels is None:
            return
        assert list(desk.labels.features["index"]) == [0, *numbers]
        assert set(np.unique(desk.labels.data)) <= {0, *numbers}
        if not state.busy and not self.session.runs.live.waits:
            counted = Tally(desk.labels.data)
            for number in numbers:
                assert state.sizes[number][0] == counted.slices(number)

    def check_replay(self):
        """What was asked, asked again, gives the same labels."""
        desk = self.desk
        if desk.masks is None:
            return
        held = desk.masks.not_computed(())
        again = []

        def ask():
            asked, volume = desk.segmentation.asked, Volume(desk.image.data)
            kept = desk.labels.data
            again.append(replay(asked, volume, lambda _: self.segmenter, kept=kept, held=held))

        thread = threading.Thread(target=ask, name=THREAD_NAME)
        thread.start()
        thread.join()
        np.testing.assert_array_equal(again[0], desk.labels.data)

    def settle(self):
        while self.session.state.busy or self.session.runs.live.waits:
            QApplication.processEvents()

    def number(self):
        return self.random.choice([each.number for each in self.segmentation.segments] or [1])

    def told(self, act, *arguments):
        self.session.told(lambda: act(*arguments))

    def box(self):
        y, x = self.random.randrange(14), self.random.randrange(24)
        index = self.random.randrange(8)
        return rectangle(Box2D(y, x, y + self.random.randrange(1, 6), x + 5), Plane(0, index))

    def do_draw(self):
        self.session.layers.boxes_made(self.desk.image).add_rectangles(self.box())

    do_draw_more = do_draw

    def do_change_box(self):
        if self.desk.boxes is not None and self.desk.boxes.nshapes:
            data = [*self.desk.boxes.data]
            data[self.random.randrange(len(data))] = self.box()
            self.desk.boxes.data = data

    def do_remove_box(self):
        if self.desk.boxes is not None and self.desk.boxes.nshapes:
            self.desk.boxes.selected_data = {self.random.randrange(self.desk.boxes.nshapes)}
            self.desk.boxes.remove_selected()

    def do_paint(self):
        layer = self.desk.labels
        if layer is not None:
            place = [self.random.randrange(size) for size in layer.data.shape]
            layer.brush_size = 5
            layer.paint(place, self.number() if self.segmentation.segments else 0)

    def do_begin(self):
        self.told(self.session.segments.begin)

    def do_choose(self):
        self.told(self.session.segments.choose, self.number())

    def do_rename(self):
        self.told(self.session.segments.rename, self.number(), self.random.choice("ab"))

    def do_lock(self):
        self.told(self.session.segments.lock, self.number(), self.random.random() < 0.4)

    def do_delete_segment(self):
        self.told(self.session.segments.delete, self.number())

    def do_range(self):
        self.session.state.z_from = self.random.randrange(5)

    def do_slice(self):
        self.viewer.dims.set_current_step(0, self.random.randrange(8))

    def do_segment_slice(self):
        self.session.run_actions.segment_slice()

    def do_segment_all(self):
        self.session.run_actions.segment_all()

    def do_cancel(self):
        self.session.runs.cancel()

    def do_continue(self):
        if not self.session.state.busy:
            self.session.run_actions.go_on()

    def do_undo(self):
        self.random.choice(
            [self.session.undo_actions.undo, self.session.undo_actions.undo_latest]
        )()

    def do_redo(self):
        self.random.choice(
            [self.session.undo_actions.redo, self.session.undo_actions.redo_latest]
        )()

    def do_there_and_back(self):
        """Undo and redo lead back to exactly what was there."""
        self.settle()
        desk, state = self.desk, self.session.state
        boxes = None if desk.boxes is None else Boxes.of(desk.boxes)
        before, segments, count = self.voxels(), desk.segmentation.segments, state.undoable
        self.session.undo_actions.undo()
        if state.undoable == count:
            return
        self.session.undo_actions.redo()
        np.testing.assert_array_equal(self.voxels(), before)
        assert desk.segmentation.segments == segments
        assert boxes is None or Boxes.of(desk.boxes) == boxes

    def do_other_labels(self):
        if self.desk.labels is not None and self.random.random() < 0.3:
            self.viewer.layers.remove(self.desk.labels)

    def do_settle(self):
        self.settle()


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_ever_out_of_step(session, image, viewer, segmenter, seed):
    session.state.live, session.state.read_ahead = True, False
    monkey = Monkey(session, viewer, segmenter, seed)
    for _ in range(ACTIONS):
        monkey.act()
    monkey.settle()
    monkey.check_what_is_shown()
    monkey.check_replay()
