"""SessionController: what the buttons do. State <-> layers <-> jobs; no widgets."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from napari.layers import Image
from napari.utils.notifications import show_warning

from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.gui.session.ahead import ReadAhead
from napari_medsam_lite.gui.session.measuring import Measuring
from napari_medsam_lite.gui.session.painting import LabelPainter
from napari_medsam_lite.gui.session.request import ask_ahead, ask_slice, ask_volume, chosen_image
from napari_medsam_lite.gui.session.running import Running
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.gui.session.work import Doing, Drawn, Event, Ready, Request, Work
from napari_medsam_lite.gui.thread.runner import Ending, JobRunner
from napari_medsam_lite.gui.viewer.box_layer import rectangle
from napari_medsam_lite.gui.viewer.geometry import (
    Plane,
    Snapshot,
    shown_axis,
    shown_plane,
    slice_count,
    snapshot_of,
)
from napari_medsam_lite.gui.viewer.image_layers import Companions

Method = Callable[["SessionController"], None]


def _told(method: Method) -> Method:
    """Show an expected error as a sentence instead of raising it."""

    @wraps(method)
    def wrapper(self: SessionController) -> None:
        try:
            method(self)
        except MedSAMLiteError as error:
            self.warn(str(error))

    return wrapper


class SessionController:
    """Turns presses of buttons into runs, and their results into layers.

    Parameters
    ----------
    viewer : napari.Viewer or napari.components.ViewerModel
        Where the layers are.
    state : SessionState
        What the user chose, and what is shown.
    work : Work, optional
        Who answers the requests; default the engine.
    """

    def __init__(self, viewer: Any, state: SessionState, work: Work | None = None) -> None:
        self.viewer = viewer
        self.state = state
        self.companions = Companions(viewer)
        self.runner = JobRunner()
        self._work = work or Work()
        self._measuring = Measuring(self.runner, state, self._work.forget)
        self._ahead = ReadAhead(viewer, state, self.runner, self._work, self.companions)
        self._painter = LabelPainter()
        self._running: Running | None = None
        self._snapshot: Snapshot | None = None
        self._range_of: tuple[Image, int, int] | None = None
        self.runner.yielded.connect(self._on_events)
        self.runner.ended.connect(self._on_ended)
        state.events.image.connect(self._on_image)
        for event, callback in self._viewer_events():
            event.connect(callback)
        for layer in viewer.layers:
            layer.events.name.connect(self._offer_images)
        self._offer_images()

    def warn(self, sentence: str) -> None:
        """Tell of something that went wrong, in the status line and as napari does."""
        self.state.tell(sentence, problem=True)
        show_warning(sentence)

    @_told
    def add_boxes(self) -> None:
        """Make the image's layers (once), hand the user the rectangle tool, and read ahead.

        The layer for the labels is made here too: napari needs a quarter of a second to set one up,
        which would be seen as a stop in the middle of a run.
        """
        image, snapshot = chosen_image(self.state), self._latest_snapshot()
        self.companions.labels_made(image)
        boxes = self.companions.boxes_made(image)
        self.viewer.layers.selection.active = boxes
        boxes.mode = "add_rectangle"
        self.state.tell("Drag a rectangle around the organ on the slice shown.")
        self._ahead.follow(ask_ahead(self.state, self.viewer.dims, snapshot), image)

    def add_box(self, box: Box3D) -> None:
        """Draw `box` on its key slice, go there, and make its extent the range of slices.

        For scripts and demonstrations; the user draws with the mouse.

        Raises
        ------
        MedSAMLiteError
            If there is no image, or the viewer shows no slices of it.
        """
        image = chosen_image(self.state)
        axis = shown_axis(image, self.viewer.dims)
        first, last = box.extent(axis)
        index = (first + last) // 2 if box.key is None else box.key
        corners = rectangle(box.plane(axis), Plane(axis, index), image.ndim)
        self.companions.boxes_made(image).add_rectangles(corners)
        if image.ndim == 3:
            world = axis + self.viewer.dims.ndim - image.ndim
            self.viewer.dims.set_point(world, image.data_to_world(corners[0])[axis])
            self.state.z_from, self.state.z_to = first, last

    @_told
    def segment_slice(self) -> None:
        """Segment all boxes on the slice shown."""
        snapshot = self._latest_snapshot()
        self._start(ask_slice(self.state, self.viewer.dims, self.companions, snapshot))

    @_told
    def segment_volume(self) -> None:
        """Segment every box, or the selected ones, from its slice over the chosen range."""
        snapshot = self._latest_snapshot()
        self._start(ask_volume(self.state, self.viewer.dims, self.companions, snapshot))

    @_told
    def measure_presets(self) -> None:
        """Time the presets on this computer, so that ``auto`` is the fastest that agrees."""
        self._measuring.start()

    def cancel(self) -> None:
        """Stop the run in flight and keep what it has done."""
        self.runner.cancel()

    def undo(self) -> None:
        """Take the latest run's masks back."""
        layer = self._painter.undo()
        self.state.undoable = self._painter.depth
        if layer is not None:
            layer.refresh(extent=False)
            self.state.tell(f"The last run was taken back from {layer.name}.")

    def close(self) -> None:
        """End the run in flight and the thread; the viewer and its layers stay."""
        self.runner.close()
        self._ahead.close()
        for event, callback in self._viewer_events():
            event.disconnect(callback)

    def _viewer_events(self) -> list[tuple[Any, Callable[..., None]]]:
        """What of the viewer is listened to, until the session is closed."""
        layers, dims = self.viewer.layers.events, self.viewer.dims.events
        return [
            (layers.inserted, self._on_inserted),
            (layers.removed, self._on_removed),
            (dims.order, self._on_view),
            (dims.ndisplay, self._on_view),
        ]

    def _start(self, request: Request) -> None:
        self.runner.start(lambda: self._work.run(request))
        self._running = Running(request, chosen_image(self.state))
        self.state.done = self.state.total = 0
        self.state.busy = True

    def _on_events(self, events: list[Event]) -> None:
        """Show what the worker has told."""
        running = self._running
        if running is None or running.dropped:
            return
        try:
            for event in events:
                self._show(running, event)
        except MedSAMLiteError as error:
            running.dropped = True
            self.runner.cancel()
            self.warn(str(error))
            return
        drawn = [event for event in events if isinstance(event, Drawn)]
        if drawn:
            self._show_progress(running, drawn)

    def _show(self, running: Running, event: Event) -> None:
        if isinstance(event, Doing):
            self.state.tell(event.text)
        elif isinstance(event, Ready):
            running.ready = event
            self.state.in_use = running.in_use()
            self.state.total = event.total
        else:
            self._draw(running, event)

    def _draw(self, running: Running, drawn: Drawn) -> None:
        axis = running.request.axis
        if running.labels is None:
            running.labels = self.companions.labels_made(running.image)
            self._painter.begin(running.labels)
            for label in running.request.labels:
                running.before[label] = self._painter.painted(running.labels, label, axis)
        self._painter.paint(
            drawn.label, axis, drawn.index, drawn.window, drawn.patch, self.state.overlap
        )
        running.note(drawn)

    def _show_progress(self, running: Running, drawn: list[Drawn]) -> None:
        """Progress; and a redraw only if the slice shown has changed, for that costs the most."""
        self.state.done += len(drawn)
        self.state.tell("Segmenting...")
        shown = self._shown(running.image)
        changed = {Plane(running.request.axis, event.index) for event in drawn}
        if running.labels is not None and (shown is None or shown in changed):
            running.labels.refresh(extent=False, thumbnail=False)

    def _on_ended(self, ending: Ending) -> None:
        running, self._running = self._running, None
        if running is None:
            return
        if running.labels is not None and not running.dropped:
            for label, index in running.stale() if ending.how == "finished" else []:
                self._painter.erase(label, running.request.axis, index)
            running.labels.refresh(extent=False)
        state = self.state
        state.busy = False
        state.undoable = self._painter.depth
        state.history = (running.record(ending), *state.history)
        if ending.how == "failed":
            self.warn(running.ending(ending))
        else:
            state.done = state.total if ending.how == "finished" else state.done
            state.tell(running.ending(ending))
            if not running.dropped:
                self._ahead.follow(running.request, running.image)

    def _on_removed(self, event: Any) -> None:
        layer, name = event.value, event.value.name
        running = self._running
        self.companions.forget(layer)
        self._painter.forget(layer)
        if running is not None and (layer is running.image or layer is running.labels):
            running.dropped = True
            self.runner.cancel()
            self.warn(f"{name} was removed, so the run was stopped.")
        self.state.undoable = self._painter.depth
        self._offer_images()

    def _on_inserted(self, event: Any) -> None:
        event.value.events.name.connect(self._offer_images)
        self._offer_images()

    def _offer_images(self, *_: object) -> None:
        """List the images anew, also when only a name has changed; choose the first if none is."""
        images = tuple(layer for layer in self.viewer.layers if isinstance(layer, Image))
        self.state.images = images
        self.state.events.images.emit(images, images)
        if self.state.image not in images:
            self.state.image = next(iter(images), None)

    def _on_image(self, *_: object) -> None:
        """Another image was chosen."""
        self._snapshot = self._range_of = None
        if self.state.image is not None:
            self.state.image.events.data.connect(self._on_image_data)
        self._on_view()

    def _on_image_data(self, event: Any) -> None:
        """An image's voxels were replaced, in the same array perhaps."""
        if event.source is self.state.image:
            self._snapshot = None
            self._ahead.stop()
            self._on_view()

    def _on_view(self, *_: object) -> None:
        """Offer the full range of the axis that the viewer steps through now."""
        image = self.state.image
        if image is None:
            return
        try:
            axis = shown_axis(image, self.viewer.dims)
        except MedSAMLiteError:
            return
        last = slice_count(image, axis) - 1
        if self._range_of != (image, axis, last):
            self._range_of = (image, axis, last)
            self.state.z_from, self.state.z_to = 0, min(self.state.z_to, last)
            self.state.z_last = self.state.z_to = last

    def _latest_snapshot(self) -> Snapshot:
        """The image's snapshot; the same object as long as the image is the same."""
        now, last = snapshot_of(chosen_image(self.state)), self._snapshot
        same = last is not None and last.data is now.data and last.spacing == now.spacing
        if last is None or not same:
            self._snapshot = last = now
        return last

    def _shown(self, image: Image) -> Plane | None:
        try:
            return shown_plane(image, self.viewer.dims)
        except MedSAMLiteError:
            return None
