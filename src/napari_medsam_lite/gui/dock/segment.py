"""MedSAMLiteWidget: the dock widget. It shows the state and hands presses to the controller."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QGroupBox, QLabel, QVBoxLayout, QWidget

from napari_medsam_lite.gui.dock import controls
from napari_medsam_lite.gui.dock.arrange import group, side_by_side
from napari_medsam_lite.gui.dock.history import HistoryView
from napari_medsam_lite.gui.dock.preset_choice import preset_choice
from napari_medsam_lite.gui.session.controller import SessionController
from napari_medsam_lite.gui.session.state import SessionState

if TYPE_CHECKING:
    import napari.viewer

    from napari_medsam_lite.core.boxes import Box3D
    from napari_medsam_lite.gui.session.engine import SessionEngine

MIN_WIDTH = 280


def _ender(session: SessionController) -> Callable[[], None]:
    """What ends a session whose dock is destroyed; not a method of the dock, which is half gone.

    psygnal keeps the events of a state, and what listens to them, as long as the state lives; and
    controls that listen keep the state. So they are parted.
    """

    def end() -> None:
        session.close()
        session.state.events.disconnect()

    return end


def _ask(owner: QWidget | None, question: str) -> bool:
    return owner is not None and controls.ask(owner, question)


class MedSAMLiteWidget(QWidget):  # type: ignore[misc]
    """Draw a box on a slice, press a button, get the organ as a Labels layer.

    Every control has an `objectName` that stays: ``image_layer``, ``window``, ``add_boxes``,
    ``preset``, ``device``, ``measure_presets``, ``read_ahead``, ``on_disk``, ``overlap``,
    ``detail``, ``step``, ``segment_slice``, ``z_from``, ``z_to``, ``segment_volume``, ``progress``,
    ``cancel``, ``undo``, ``redo``, ``status``, ``history``, ``save_run``.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        Given by napari.
    engine : SessionEngine, optional
        Who answers the requests.
    """

    def __init__(
        self, napari_viewer: napari.viewer.Viewer, engine: SessionEngine | None = None
    ) -> None:
        super().__init__()
        self.state = SessionState()
        # Weakly, for the session must not keep the dock, which holds it.
        owner = weakref.ref(self)
        self.session = SessionController(
            napari_viewer, self.state, engine, ask=lambda question: _ask(owner(), question)
        )
        self.session.open()
        self._image = controls.image_choice(self.state)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        for part in (self._image_part(), self._network_part(), self._segment_part()):
            layout.addWidget(part)
        layout.addWidget(controls.status_line(self.state).native)
        layout.addWidget(HistoryView(self.state), 1)
        self.setMinimumWidth(MIN_WIDTH)
        self._docked = False
        self.destroyed.connect(_ender(self.session))

    def add_sample_box(self, box: Box3D) -> None:
        """Draw `box` for the user and go to its slice; see `SessionController.add_box`."""
        self.session.add_box(box)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802 - Qt's name
        """End the session when napari takes the widget out of its dock, as it does on close.

        It begins again when the widget is put into a dock.
        """
        super().changeEvent(event)
        if event.type() == QEvent.Type.ParentChange:
            if self.parent() is not None:
                self.session.open()
            elif self._docked:
                self.session.close()
            self._docked = self.parent() is not None

    def _image_part(self) -> QGroupBox:
        add_boxes = controls.button(
            "add_boxes",
            "Add boxes",
            "Makes a layer for boxes and picks the rectangle tool: drag a rectangle around the "
            "organ, on any slice and from any side.",
            self.session.add_boxes,
        )
        window = controls.window_choice(self.state)
        return group("Image", ("Layer", self._image), ("Window", window), add_boxes)

    def _network_part(self) -> QGroupBox:
        preset, device = preset_choice(self.state), controls.device_choice(self.state)
        measure = controls.button(
            "measure_presets",
            "Measure presets",
            "Times the presets on this computer and checks their masks, in about a minute; auto is "
            "then the fastest that agrees with the published arithmetic. Presets that take minutes "
            "to build, or that this processor only emulates, are left out.",
            self.session.measure_presets,
        )

        ahead = side_by_side(
            controls.read_ahead_choice(self.state), controls.on_disk_choice(self.state)
        )

        # Not by way of self: psygnal keeps what listens, and the dock could never be freed.
        state = self.state

        def enable() -> None:
            measure.enabled = not state.busy

        self._whenever(enable, "busy")
        return group("Network", ("Preset", preset), ("Device", device), measure, ahead)

    def _segment_part(self) -> QGroupBox:
        state = self.state
        first = controls.z_field(state, "z_from", "The first slice of Segment volume.")
        last = controls.z_field(state, "z_to", "The last slice of Segment volume, included.")
        return group(
            "Segment",
            ("Overlap", controls.overlap_choice(state)),
            ("Detail", controls.detail_choice(state)),
            ("Step", controls.step_choice(state)),
            ("Slices", side_by_side(first, QLabel("to"), last)),
            self._run_buttons(),
            self._progress_row(),
            self._undo_buttons(),
        )

    def _run_buttons(self) -> QWidget:
        state, session = self.state, self.session

        def once(press: Callable[[], None]) -> Callable[[], None]:
            """`press`, but not a second time before the buttons are seen to be grey."""
            return lambda: None if state.busy else press()

        one_slice = controls.button(
            "segment_slice",
            "Segment slice",
            "Segments every box on the slice shown.",
            once(session.segment_slice),
        )
        volume = controls.button(
            "segment_volume",
            "Segment volume",
            "Follows each box from its slice up and down, until the object or the range of slices "
            "ends. If boxes are selected, only those.",
            once(session.segment_volume),
        )

        def enable() -> None:
            one_slice.enabled = volume.enabled = not state.busy

        self._whenever(enable, "busy")
        return side_by_side(one_slice, volume)

    def _progress_row(self) -> QWidget:
        state, session = self.state, self.session
        cancel = controls.button(
            "cancel", "Cancel", "Stops the run and keeps the slices that are done.", session.cancel
        )

        def enable() -> None:
            cancel.enabled = state.busy

        self._whenever(enable, "busy")
        return side_by_side(controls.progress_bar(state), cancel)

    def _undo_buttons(self) -> QWidget:
        state, session = self.state, self.session
        undo = controls.button(
            "undo", "Undo", "Takes the last run back; changes by hand stay.", session.undo
        )
        redo = controls.button(
            "redo", "Redo", "Does the run again that was taken back last.", session.redo
        )

        def enable() -> None:
            undo.enabled = state.undoable > 0 and not state.busy
            redo.enabled = state.redoable > 0 and not state.busy

        self._whenever(enable, "busy", "undoable", "redoable")
        return side_by_side(undo, redo)

    def _whenever(self, show: Callable[[], None], *fields: str) -> None:
        """Do `show` now, and whenever one of these fields of the state has changed."""
        later = controls.together(show, self)
        for field in fields:
            getattr(self.state.events, field).connect(later)
        show()
