"""The parts of the dock, each a group of controls for one purpose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from magicgui.widgets import CheckBox
from qtpy.QtWidgets import QColorDialog, QGroupBox, QLabel, QWidget

from napari_medsam_lite.gui.dock import choices, controls
from napari_medsam_lite.gui.dock.arrange import group, plain, side_by_side
from napari_medsam_lite.gui.dock.label_sets import LabelSetChoice
from napari_medsam_lite.gui.dock.preset_choice import preset_choice
from napari_medsam_lite.gui.dock.segments import SegmentsTable
from napari_medsam_lite.gui.dock.series_row import SeriesRow
from napari_medsam_lite.gui.dock.window_row import WindowRow
from napari_medsam_lite.gui.session.controller import SessionController
from napari_medsam_lite.gui.session.state import DIRECTIONS, SessionState

Press = Callable[[], None]


def whenever(state: SessionState, owner: QWidget, show: Callable[[], None], *fields: str) -> None:
    """Do `show` now, and whenever one of these fields of the state has changed."""
    later = controls.together(show, owner)
    for field in fields:
        getattr(state.events, field).connect(later)
    show()


def image_part(session: SessionController, image: Any) -> QGroupBox:
    """Which image, in which window."""
    return group(
        "Image",
        ("Layer", image),
        SeriesRow(session.state, session.series, session.told),
        ("Window", WindowRow(session.state, session.window)),
    )


def segments_part(session: SessionController) -> QGroupBox:
    """What is outlined, and with which tool."""
    state, actions = session.state, session.segments

    def of_current(act: Callable[[int], object]) -> Press:
        return lambda: session.told(lambda: act(state.segmentation.current))

    table = SegmentsTable(state, actions, session.told)
    new = controls.button(
        "new_segment",
        "New segment",
        "Begins the next segment; new boxes belong to it.",
        lambda: session.told(actions.begin),
    )
    delete = controls.button(
        "delete_segment",
        "Delete",
        "Takes the segment away, with its boxes and its mask.",
        of_current(actions.delete),
    )
    color = controls.button(
        "segment_color", "Colour", "Gives the segment another colour.", lambda: _recolor(session)
    )
    move = controls.button(
        "move_boxes",
        "Move boxes here",
        "Gives the boxes that are selected in the boxes layer to this segment.",
        of_current(actions.move_selected_boxes),
    )
    add_boxes = controls.button(
        "add_boxes",
        "Add boxes",
        "Picks the rectangle tool: drag a box around the organ, on any slice and from any side. "
        "Boxes of one segment on several slices are its key boxes.",
        session.run_actions.add_boxes,
    )
    part = group(
        "Segments",
        table,
        side_by_side(new, color, delete),
        ("Names", LabelSetChoice(state, actions)),
        side_by_side(add_boxes, live_choice(state)),
        move,
    )

    def enable() -> None:
        some = state.segmentation.current > 0
        delete.enabled = color.enabled = move.enabled = some and not state.busy

    whenever(state, part, enable, "segmentation", "busy")
    return part


def live_choice(state: SessionState) -> CheckBox:
    """Whether a box is answered as soon as it is drawn."""
    control = controls.named(
        CheckBox(
            text="Live",
            tooltip="The mask follows the box: it is there when the mouse is released, moves with "
            "the box, and goes when the box is deleted.",
        ),
        "live",
    )
    controls.bind(state, "live", control)
    return control


def run_part(session: SessionController) -> QGroupBox:
    """Masks through the volume, and the way back."""
    state = session.state
    first = choices.z_field(state, "z_from", "The first slice of the segment.")
    last = choices.z_field(state, "z_to", "The last slice of the segment, included.")
    set_first = controls.button(
        "set_first",
        "First is here",
        "The slice shown becomes the first one.",
        lambda: here(session, 0),
    )
    set_last = controls.button(
        "set_last",
        "Last is here",
        "The slice shown becomes the last one.",
        lambda: here(session, 1),
    )
    keep = controls.named(
        CheckBox(
            text="Keep what I painted",
            tooltip="Voxels that you painted or erased by hand are changed by no run.",
        ),
        "keep_painted",
    )
    controls.bind(state, "keep_painted", keep)
    direction = controls.choice(
        state,
        "direction",
        {str(way): hint for way, hint in DIRECTIONS.items()},
        "Which way to go from the boxes.",
    )
    return group(
        "Volume",
        ("Slices", side_by_side(first, QLabel("to"), last)),
        side_by_side(set_first, set_last),
        ("Way", direction),
        ("Overlap", choices.overlap_choice(state)),
        keep,
        _run_buttons(session),
        controls.progress_bar(state),
        _stop_buttons(session),
        _undo_buttons(session),
    )


def network_part(session: SessionController) -> QWidget:
    """How the network is run: rarely touched, so it is folded away."""
    state = session.state
    measure = controls.button(
        "measure_presets",
        "Measure presets",
        "Times the presets on this computer and checks their masks, in about a minute; auto is "
        "then the fastest that agrees with the published arithmetic. Presets that take minutes "
        "to build, or that this processor only emulates, are left out.",
        session.run_actions.measure_presets,
    )
    ahead = side_by_side(choices.read_ahead_choice(state), choices.on_disk_choice(state))
    part = plain(
        ("Detail", choices.detail_choice(state)),
        ("Step", choices.step_choice(state)),
        ("Preset", preset_choice(state)),
        ("Device", choices.device_choice(state)),
        measure,
        ahead,
    )

    def enable() -> None:
        measure.enabled = not state.busy

    whenever(state, part, enable, "busy")
    return part


def here(session: SessionController, end: int) -> None:
    """Make the slice shown the first (0) or the last (1) one of the current segment."""
    session.told(lambda: session.segments.limit_here(end))


def _recolor(session: SessionController) -> None:
    segment = session.state.segmentation.current_segment
    if segment is None:
        return
    from qtpy.QtGui import QColor

    chosen = QColorDialog.getColor(QColor(*segment.color), None, f"Colour of {segment.title}")
    if chosen.isValid():
        color = (chosen.red(), chosen.green(), chosen.blue())
        session.told(lambda: session.segments.recolor(segment.number, color))


def _run_buttons(session: SessionController) -> QWidget:
    state = session.state

    def once(press: Callable[[], None]) -> Callable[[], None]:
        """`press`, but not a second time before the buttons are seen to be grey."""
        return lambda: None if state.busy else press()

    one_slice = controls.button(
        "segment_slice",
        "Slice",
        "Segments every box on the slice shown.",
        once(session.run_actions.segment_slice),
    )
    volume = controls.button(
        "segment_volume",
        "Segment volume",
        "Follows the boxes of the current segment through its slices. If boxes are selected, those "
        "alone.",
        once(session.run_actions.segment_volume),
    )
    every = controls.button(
        "segment_all",
        "All",
        "Does so for every segment that has boxes and is not locked.",
        once(session.run_actions.segment_all),
    )
    row = side_by_side(one_slice, volume, every)

    def enable() -> None:
        for button in (one_slice, volume, every):
            button.enabled = not state.busy

    whenever(state, row, enable, "busy")
    return row


def _stop_buttons(session: SessionController) -> QWidget:
    state = session.state
    cancel = controls.button(
        "cancel", "Cancel", "Stops the run and keeps the slices that are done.", session.runs.cancel
    )
    go_on = controls.button(
        "continue", "Continue", "Goes on where the run was cancelled.", session.run_actions.go_on
    )
    row = side_by_side(cancel, go_on)

    def enable() -> None:
        cancel.enabled, go_on.enabled = state.busy, state.resumable and not state.busy

    whenever(state, row, enable, "busy", "resumable")
    return row


def _undo_buttons(session: SessionController) -> QWidget:
    state = session.state
    undo = controls.button(
        "undo",
        "Undo",
        "Takes the last change back; what you painted stays.",
        session.undo_actions.undo,
    )
    redo = controls.button(
        "redo", "Redo", "Does again what was taken back last.", session.undo_actions.redo
    )
    row = side_by_side(undo, redo)

    def enable() -> None:
        undo.enabled = state.undoable > 0 and not state.busy
        redo.enabled = state.redoable > 0 and not state.busy

    whenever(state, row, enable, "busy", "undoable", "redoable")
    return row
