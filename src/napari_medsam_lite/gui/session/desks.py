"""The desks of all images, of which one is chosen: shown in the state, and undone together."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from napari.layers import Image, Labels, Layer, Shapes

from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.core.segmentation import Segmentation
from napari_medsam_lite.engine.undo import UndoStack, next_serial
from napari_medsam_lite.gui.session.casing import leave_case
from napari_medsam_lite.gui.session.desk import Desk
from napari_medsam_lite.gui.session.edit import Edit
from napari_medsam_lite.gui.session.request import chosen_image
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.gui.viewer.brush import Brush
from napari_medsam_lite.gui.viewer.clicks import drop_clicks
from napari_medsam_lite.gui.viewer.geometry import (
    held_by,
    leading_index,
    shown_axis,
    slice_count,
)
from napari_medsam_lite.gui.viewer.image_layers import ImageLayers
from napari_medsam_lite.gui.viewer.undo_keys import UndoKeys
from napari_medsam_lite.io.case_record import CaseRecord
from napari_medsam_lite.io.metadata import CASE


class Desks:
    """One desk an image; what one shows never meets another.

    Parameters
    ----------
    viewer : napari.Viewer or napari.components.ViewerModel
        Where the layers are.
    state : SessionState
        Where the chosen image's segments are shown.
    ask : callable
        See `ImageLayers`.
    drawn : callable
        See `Desk`.
    keys : UndoKeys
        Given to the image and its layers.
    brought : callable
        Is told each case that came with a layer.
    """

    def __init__(
        self,
        viewer: Any,
        state: SessionState,
        ask: Callable[[str], bool],
        drawn: Callable[[Desk, Edit, bool], None],
        keys: UndoKeys,
        brought: Callable[[CaseRecord], None] = lambda _: None,
    ) -> None:
        self._brought = brought
        self._viewer, self._state, self._drawn, self._keys = viewer, state, drawn, keys
        self.layers = ImageLayers(viewer, ask, self._on_taken)
        self._edits: UndoStack[Edit] = UndoStack()
        self._desks: dict[Image, Desk] = {}
        self._axis, self._showing = 0, False
        for field in ("z_from", "z_to"):
            getattr(state.events, field).connect(self._on_range)
        state.events.image.connect(self._on_image)

    def open(self) -> None:
        """Show the chosen image's segments."""
        self._on_image()

    def close(self) -> None:
        """Let go of all layers; what they hold stays."""
        for desk in self._desks.values():
            leave_case(desk)
            desk.close()
        self._desks.clear()
        self._keys.clear()

    @property
    def all(self) -> tuple[Desk, ...]:
        """Those that there are."""
        return tuple(self._desks.values())

    def chosen(self) -> Desk:
        """The desk of the chosen image.

        Raises
        ------
        MedSAMLiteError
            If there is no image.
        """
        image = chosen_image(self._state)
        desk = self._of(image)
        desk.turn_to(leading_index(image, self._viewer.dims))
        return desk

    def adopt(self, image: Image) -> None:
        """Look for the image's layers, offer what may be its own, and see what was changed."""
        own, desk = self.layers.adopt(image), self._of(image)
        for layer, held in ((own.boxes, desk.boxes), (own.labels, desk.labels)):
            if layer is None and held is not None:
                desk.detach(held)
        if desk.boxes is not None:
            drop_clicks(desk.boxes)
            desk.take_boxes()

    def adopted(self) -> Desk:
        """The desk of the chosen image, once its layers were looked for; raises as `chosen`."""
        self.adopt(chosen_image(self._state))
        return self.chosen()

    def look_at(self, layer: Layer) -> None:
        """A layer was added: it may have been made for the chosen image in another session."""
        image = self._state.image
        if image is not None and isinstance(layer, Shapes | Labels):
            self.layers.known(image)

    def labelled(self, desk: Desk) -> None:
        """See to it that the desk has a Labels layer."""
        if self.layers.labels(desk.image) is None:
            if desk.labels is not None:
                desk.detach(desk.labels)
            self.layers.labels_made(desk.image)

    def forget(self, layer: Layer) -> None:
        """Let go of `layer`, which was removed from the viewer."""
        self.layers.forget(layer)
        self._keys.remove(layer)
        for image, desk in list(self._desks.items()):
            if layer == image:
                self._drop(image)
            elif layer in (desk.boxes, desk.labels):
                desk.detach(layer)
                self._edits.forget(image)
        self.tell_undo()

    def part(self, image: Image) -> None:
        """The image's voxels are others now: nothing that was outlined is theirs."""
        self.layers.part(image)
        self._drop(image)
        self._on_image()

    def undo(self) -> str:
        """Take back what this dock did last to the chosen image; returns what is to be told.

        Raises
        ------
        MedSAMLiteError
            If it concerns a segment that is locked.
        """
        return self._move(self._edits.undoable, self._edits.undo, back=True)

    def redo(self) -> str:
        """Do again what was taken back last; as `undo`."""
        return self._move(self._edits.redoable, self._edits.redo, back=False)

    def undo_latest(self) -> str:
        """As `undo`, but a stroke of the brush is taken back where that is what was done last."""
        desk = self.chosen()
        edit, brush = self._edits.undoable(desk.image), _brush_of(desk)
        if brush is not None and brush.last_done > (edit.serial if edit else 0):
            brush.undo()
            return "The last stroke was taken back."
        return self.undo()

    def redo_latest(self) -> str:
        """As `redo`, but a stroke is repeated where that was taken back last."""
        desk = self.chosen()
        edit, brush = self._edits.redoable(desk.image), _brush_of(desk)
        if brush is not None and brush.next_undone > (edit.serial if edit else 0):
            brush.redo()
            return "The stroke was painted again."
        return self.redo()

    def tell_undo(self) -> None:
        """Show how much can be taken back and done again."""
        image = self._state.image
        done, undone = (0, 0) if image is None else self._edits.count(image)
        self._state.undoable, self._state.redoable = done, undone

    def show_range(self, axis: int) -> None:
        """The viewer steps through `axis` of the chosen image: show the current segment's range."""
        state, self._axis = self._state, axis
        whole = 0, slice_count(chosen_image(state), axis) - 1
        segment = state.segmentation.current_segment
        first, last = whole if segment is None else segment.ranges.get(axis, whole)
        self._showing = True
        state.z_last = whole[1]  # first, for the fields of the range hold no more
        state.z_from, state.z_to = min(first, state.z_last), min(last, state.z_last)
        self._showing = False

    def _move(
        self,
        look: Callable[[Image], Edit | None],
        move: Callable[[Image], Edit | None],
        back: bool,
    ) -> str:
        desk = self.chosen()
        edit = look(desk.image)
        if edit is None:
            return ""
        edit.check_locks(each for each in desk.segmentation.segments if each.locked)
        move(desk.image)
        desk.apply(edit, back)
        edit.serial = next_serial()
        self.tell_undo()
        how = "taken back" if back else "done again"
        return f"{edit.what[0].upper()}{edit.what[1:]} of {desk.image.name} was {how}."

    def _drop(self, image: Image) -> None:
        """Let go of the image's layers, which are nobody's now."""
        desk = self._desks.pop(image, None)
        for layer in () if desk is None else (desk.boxes, desk.labels):
            if layer is not None:
                self._keys.remove(layer)
        if desk is not None:
            desk.close()
        self._edits.forget(image)

    def _of(self, image: Image) -> Desk:
        if image not in self._desks:
            desk = self._desks[image] = Desk(image, self._edits, self._on_changed, self._drawn)
            self._keys.add(image)
            for layer in self.layers.known(image):
                if layer is not None and layer not in (desk.boxes, desk.labels):
                    self._on_taken(image, layer)
        return self._desks[image]

    def _on_taken(self, image: Image, layer: Layer) -> None:
        case = held_by(layer).get(CASE)  # gone once the desk has taken it
        self._of(image).attach(layer)
        if isinstance(case, CaseRecord):
            self._brought(case)
        self._keys.add(layer)

    def _on_image(self, *_: object) -> None:
        image = self._state.image
        if image is None:
            self._state.segmentation, self._state.sizes = Segmentation(), {}
        else:
            self._on_changed(self._of(image))
        self.tell_undo()

    def _on_changed(self, desk: Desk) -> None:
        """Show the chosen desk's segments."""
        state = self._state
        if desk.image != state.image:
            return
        state.segmentation = desk.segmentation
        state.sizes = {s.number: desk.size_of(s.number) for s in desk.segmentation.segments}
        with suppress(MedSAMLiteError):  # the viewer may show the volume in 3D
            self.show_range(shown_axis(desk.image, self._viewer.dims))
        self.tell_undo()

    def _on_range(self, *_: object) -> None:
        """A person changed the range: it is the current segment's."""
        state = self._state
        number, image = state.segmentation.current, state.image
        if not self._showing and number and image in self._desks:
            self._desks[image].limit(number, self._axis, state.z_from, state.z_to)


def _brush_of(desk: Desk) -> Brush | None:
    return None if desk.masks is None else desk.masks.brush
