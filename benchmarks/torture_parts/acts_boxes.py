"""What the monkey does with boxes, segments, strokes and runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from napari_medsam_lite.core.boxes import Box2D
from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.gui.viewer.box_layer import Boxes
from napari_medsam_lite.gui.viewer.drawn_boxes import rectangle
from napari_medsam_lite.gui.viewer.geometry import Plane, shown_plane, slice_count, volume_shape
from torture_parts.stage import Stage


class BoxActs:
    """Actions that begin with ``do_``; each takes its numbers from the stage's random generator."""

    stage: Stage

    def box(self, desk: Any) -> tuple[Box2D, Plane] | None:
        """A box on the slice shown, or sometimes on another; None where no slice is shown."""
        rng, image = self.stage.random, desk.image
        try:
            plane = shown_plane(image, self.stage.viewer.dims)
        except MedSAMLiteError:
            return None
        if rng.random() < 0.2:
            plane = Plane(plane.axis, rng.randrange(slice_count(image, plane.axis)))
        height, width = (n for a, n in enumerate(volume_shape(image)) if a != plane.axis)
        y, x = rng.randrange(-3, height), rng.randrange(-3, width)
        return Box2D(y, x, y + rng.randrange(0, height), x + rng.randrange(0, width)), plane

    def do_draw(self) -> None:
        """With the rectangle tool and the mouse."""
        stage = self.stage
        stage.told(stage.session.run_actions.add_boxes)
        desk = stage.desk()
        if desk is None or desk.boxes is None or stage.viewer.dims.ndisplay == 3:
            return
        if desk.boxes.mode == "add_rectangle" and desk.boxes.visible:
            stage.drag(self.spot(desk.image), self.spot(desk.image))

    def spot(self, layer: Any) -> Any:
        """A random point of a layer on the canvas."""
        place = [self.stage.random.uniform(0, n - 1) for n in layer.data.shape[: layer.ndim]]
        return self.stage.point_of(layer, place)

    def do_add_box(self) -> None:
        desk = self.stage.desk()
        found = None if desk is None else self.box(desk)
        if found is not None:
            shapes = self.stage.session.layers.boxes_made(desk.image)
            shapes.add_rectangles(rectangle(*found, shapes.ndim, desk.leading))

    def do_add_odd_shape(self) -> None:
        desk, rng = self.stage.desk(), self.stage.random
        found = None if desk is None else self.box(desk)
        if found is not None:
            shapes = self.stage.session.layers.boxes_made(desk.image)
            corners = rectangle(*found, shapes.ndim, desk.leading) + rng.choice([0, 0.4, -60, 500])
            kind = rng.choice(["ellipse", "polygon", "line", "path"])
            shapes.add(corners[[0, 2]] if kind == "line" else corners, shape_type=kind)

    def _shapes(self) -> Any | None:
        desk = self.stage.desk()
        has_any = desk is not None and desk.boxes is not None and desk.boxes.nshapes
        return desk.boxes if has_any else None

    def do_drag_box(self) -> None:
        shapes, stage = self._shapes(), self.stage
        if shapes is None or stage.viewer.dims.ndisplay == 3 or not shapes.visible:
            return
        stage.viewer.layers.selection.active = shapes
        shapes.mode = stage.random.choice(["select", "direct"])
        start = stage.point_of(shapes, stage.random.choice(shapes.data).mean(axis=0))
        way = [stage.random.uniform(-60, 60), stage.random.uniform(-60, 60)]
        stage.drag(start, np.add(start, way))

    def do_change_box(self) -> None:
        shapes, rng = self._shapes(), self.stage.random
        if shapes is not None:
            data = [np.array(each) for each in shapes.data]
            data[rng.randrange(len(data))][:, -2:] += rng.uniform(-15, 15)
            shapes.data = data

    def do_delete_box(self) -> None:
        shapes, rng = self._shapes(), self.stage.random
        if shapes is not None:
            count = rng.choice([1, 1, 1, shapes.nshapes])
            shapes.selected_data = set(rng.sample(range(shapes.nshapes), count))
            shapes.remove_selected()

    def do_paste_box(self) -> None:
        shapes, stage = self._shapes(), self.stage
        if shapes is not None:
            stage.viewer.layers.selection.active = shapes
            shapes.mode = "select"
            shapes.selected_data = {stage.random.randrange(shapes.nshapes)}
            shapes._copy_data()
            shapes._paste_data()

    def do_move_boxes(self) -> None:
        self.stage.told(self.stage.session.segments.move_selected_boxes, self.number())

    def number(self) -> int:
        """Of a segment, if there is one."""
        found = [each.number for each in self.stage.state.segmentation.segments]
        return self.stage.random.choice(found or [1])

    def do_begin(self) -> None:
        name = self.stage.random.choice(["", "", "liver", "a thing"])
        self.stage.told(self.stage.session.segments.begin, name)

    def do_choose(self) -> None:
        self.stage.told(self.stage.session.segments.choose, self.number())

    def do_rename(self) -> None:
        name = self.stage.random.choice(["spleen", "x", "", "a  \n b", "n" * 80])
        self.stage.told(self.stage.session.segments.rename, self.number(), name)

    def do_recolor(self) -> None:
        color = tuple(self.stage.random.randrange(256) for _ in range(3))
        self.stage.told(self.stage.session.segments.recolor, self.number(), color)

    def do_lock(self) -> None:
        locked = self.stage.random.random() < 0.4
        self.stage.told(self.stage.session.segments.lock, self.number(), locked)

    def do_reveal(self) -> None:
        visible = self.stage.random.random() < 0.6
        self.stage.told(self.stage.session.segments.reveal, self.number(), visible)

    def do_delete_segment(self) -> None:
        self.stage.told(self.stage.session.segments.delete, self.number())

    def do_range(self) -> None:
        state, rng = self.stage.state, self.stage.random
        setattr(state, rng.choice(["z_from", "z_to"]), rng.randrange(state.z_last + 1))

    def do_limit_here(self) -> None:
        self.stage.told(self.stage.session.segments.limit_here, self.stage.random.randrange(2))

    def do_segment_slice(self) -> None:
        self.stage.press("segment_slice")

    def do_segment_volume(self) -> None:
        self.stage.press("segment_volume")

    def do_segment_all(self) -> None:
        self.stage.press("segment_all")

    def do_cancel(self) -> None:
        self.stage.press("cancel")

    def do_continue(self) -> None:
        if not self.stage.state.busy:
            self.stage.session.run_actions.go_on()

    def do_undo(self) -> None:
        self.stage.random.choice(
            [self.stage.session.undo_actions.undo, self.stage.session.undo_actions.undo_latest]
        )()

    def do_redo(self) -> None:
        self.stage.random.choice(
            [self.stage.session.undo_actions.redo, self.stage.session.undo_actions.redo_latest]
        )()

    def do_there_and_back(self) -> None:
        """Undo and redo lead back to exactly what was there."""
        self.check_way_back(
            self.stage.session.undo_actions.undo, self.stage.session.undo_actions.redo, -1
        )

    def do_box_taken_back(self) -> None:
        """A box, its answer, and undo."""
        self.check_way_back(self.do_add_box, self.stage.session.undo_actions.undo, 1)

    def do_run_taken_back(self) -> None:
        """A run and undo."""
        self.check_way_back(
            lambda: self.stage.press("segment_all"), self.stage.session.undo_actions.undo, 1
        )

    def check_way_back(
        self, there: Callable[[], None], back: Callable[[], None], edits: int
    ) -> None:
        """What was there is there again, if `there` makes so many edits."""
        stage = self.stage
        stage.settle()
        desk, state = stage.desk(), stage.state
        if desk is None:
            return
        boxes = Boxes((), (), None) if desk.boxes is None else Boxes.of(desk.boxes)
        labels = None if desk.labels is None else np.array(desk.labels.data)
        segments, count = desk.segmentation.segments, state.undoable
        there()
        stage.pump()
        stage.settle()
        if state.undoable != count + edits:
            return
        back()
        stage.counts["ways back"] += 1
        now = None if desk.labels is None else np.array(desk.labels.data)
        if labels is not None:
            assert np.array_equal(now, labels), f"the way back: {(now != labels).sum()} voxels"
        elif now is not None:
            assert not now.any(), "the way back: voxels where there were none"
        assert desk.segmentation.segments == segments, "the way back: other segments"
        left = Boxes((), (), None) if desk.boxes is None else Boxes.of(desk.boxes)
        same = left == boxes if boxes.features is not None else not left.kinds
        assert same, "the way back: other boxes"

    def do_paint(self) -> None:
        """With napari's brush, eraser or bucket, and the mouse."""
        stage, rng, desk = self.stage, self.stage.random, self.stage.desk()
        layer = None if desk is None else desk.labels
        if layer is None or stage.viewer.dims.ndisplay == 3 or not layer.visible:
            return
        stage.viewer.layers.selection.active = layer
        layer.mode = rng.choice(["paint", "paint", "erase", "fill"])
        layer.brush_size = rng.randrange(1, 12)
        layer.selected_label = self.number() if stage.state.segmentation.segments else 0
        stage.drag(self.spot(layer), self.spot(layer), steps=2)
        layer.mode = "pan_zoom"
