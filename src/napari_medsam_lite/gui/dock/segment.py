"""MedSAMLiteWidget: the dock widget. It shows the state and hands presses to the controller."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, Qt, QTimer
from qtpy.QtWidgets import QAbstractButton, QVBoxLayout, QWidget

from napari_medsam_lite.gui.dock import choices, controls, parts
from napari_medsam_lite.gui.dock.arrange import folded, scrolling
from napari_medsam_lite.gui.dock.doings import doings, keys_file, show_on_buttons
from napari_medsam_lite.gui.dock.drawing_context import DrawingContext
from napari_medsam_lite.gui.dock.history import history_part
from napari_medsam_lite.gui.dock.restore_row import RestoreRow
from napari_medsam_lite.gui.dock.save_row import save_row
from napari_medsam_lite.gui.dock.start import StartView, suggest_box
from napari_medsam_lite.gui.dock.worklist import WorklistView
from napari_medsam_lite.gui.keys.card import KeysCard
from napari_medsam_lite.gui.keys.shortcuts import Shortcuts, actions_of
from napari_medsam_lite.gui.session.controller import SessionController
from napari_medsam_lite.gui.session.state import SessionState

if TYPE_CHECKING:
    import napari.viewer

    from napari_medsam_lite.gui.session.engine import SessionEngine

MIN_WIDTH = 280
COLLECT_AFTER_MS = 200


def _ender(session: SessionController) -> Callable[[], None]:
    """What ends a session whose dock is destroyed; not a method of the dock, which is half gone.

    psygnal keeps the events of a state, and what listens to them, as long as the state lives; and
    controls that listen keep the state. So they are parted.
    """

    def end() -> None:
        # First, for what listens is half gone too.
        session.state.events.disconnect()
        session.worklist.state.events.disconnect()
        session.close()

    return end


def _ask(owner: QWidget | None, question: str) -> bool:
    return owner is not None and controls.ask(owner, question)


class MedSAMLiteWidget(QWidget):  # type: ignore[misc]
    """Name what is to be outlined, draw boxes round it, get it as a Labels layer.

    Every control has an `objectName` that stays: ``open_sample``, ``open_files``, ``image_layer``,
    ``series``, ``window``, ``segments``, ``new_segment``, ``segment_color``, ``delete_segment``,
    ``label_set``, ``add_boxes``, ``live``, ``move_boxes``, ``z_from``, ``z_to``, ``set_first``,
    ``set_last``, ``direction``, ``overlap``, ``keep_painted``, ``segment_slice``,
    ``segment_volume``, ``segment_all``, ``progress``, ``cancel``, ``continue``, ``undo``,
    ``redo``, ``save``, ``save_each``, ``save_picture_now``, ``detail``, ``step``, ``preset``,
    ``device``, ``measure_presets``, ``read_ahead``, ``on_disk``, ``restore``, ``discard``,
    ``restore_told``, ``elsewhere``, ``worklist``, ``open_worklist``, ``open_list``,
    ``not_done_only``, ``previous_case``, ``next_case``, ``case_note``, ``mark_done``,
    ``mark_review``, ``history``, ``history_filter``, ``history_this_image``, ``history_picture``,
    ``go_to``, ``run_again``, ``save_picture``, ``save_run``, ``delete_run``, ``undo_delete``,
    ``show_keys``, ``status``.

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
        self._image = choices.image_choice(self.state)
        self._shortcuts = Shortcuts(
            self,
            actions_of(
                doings(self.session, lambda: _show_keys(owner()), lambda: _press(owner(), "save"))
            ),
            keys_file(),
        )
        self._drawing = DrawingContext(napari_viewer, self)
        self._drawing.open()
        self._arrange(napari_viewer)
        self.setMinimumWidth(MIN_WIDTH)
        self._docked = False
        end = _ender(self.session)
        self.destroyed.connect(end)
        # Qt tells nobody where Python frees the dock first, as it does once napari has let go.
        # Later, for Qt's objects must not be freed while Python collects.
        weakref.finalize(self, QTimer.singleShot, 0, end).atexit = False
        self._shortcuts.open()

    def show_keys(self) -> None:
        """Show the card of keys, where they can be changed; it stays open beside the work."""
        card = KeysCard(self._shortcuts, self)
        card.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        card.show()

    def _arrange(self, viewer: napari.viewer.Viewer) -> None:
        session, state, owner = self.session, self.state, weakref.ref(self)
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(6, 6, 6, 6)
        column.addWidget(StartView(viewer, state, session.told, lambda: suggest_box(session)))
        keys = controls.button(
            "show_keys",
            "Keys",
            "Shows all keys; each can be changed.",
            lambda: _show_keys(owner()),
        )
        column.addWidget(parts.image_part(session, self._image))
        column.addWidget(parts.segments_part(session))
        column.addWidget(parts.run_part(session))
        column.addWidget(save_row(session))
        column.addWidget(folded("Network and speed", "network", parts.network_part(session)))
        column.addWidget(folded("Worklist", "worklist_part", WorklistView(session)))
        column.addWidget(history_part(session))
        column.addWidget(keys.native)
        column.addStretch(1)
        # What is going on stays in sight, whatever is scrolled to.
        outside = QVBoxLayout(self)
        outside.setContentsMargins(0, 0, 0, 0)
        outside.addWidget(scrolling(inside), 1)
        outside.addWidget(RestoreRow(state, session.undo_actions))
        outside.addWidget(controls.status_line(state).native)
        show_on_buttons(self, self._shortcuts)

    def suggest_box(self) -> None:
        """Draw the first box that the sample carries, for the user to begin with."""
        suggest_box(self.session)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802 - Qt's name
        """End the session when napari takes the widget out of its dock, as it does on close.

        It begins again when the widget is put into a dock.
        """
        super().changeEvent(event)
        if event.type() == QEvent.Type.ParentChange:
            if self.parent() is not None:
                self.session.open()
                self._shortcuts.open()
                self._drawing.open()
            elif self._docked:
                self.session.close()
                self._shortcuts.close()
                self._drawing.close()
                # Here, lest Python frees the dock on a thread of ours: there, its parts go while
                # the event loop still calls them, which was seen to crash.
                QTimer.singleShot(COLLECT_AFTER_MS, gc.collect)
            self._docked = self.parent() is not None


def _press(dock: MedSAMLiteWidget | None, name: str) -> None:
    if dock is not None and (button := dock.findChild(QAbstractButton, name)) is not None:
        button.click()


def _show_keys(dock: MedSAMLiteWidget | None) -> None:
    if dock is not None:
        dock.show_keys()
