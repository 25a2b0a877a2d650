"""The runs of this and earlier sessions: to find, look at, do again, save and delete."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from magicgui.widgets import CheckBox, LineEdit
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QFileDialog, QLabel, QVBoxLayout, QWidget

from napari_medsam_lite.gui.dock.arrange import folded, side_by_side
from napari_medsam_lite.gui.dock.controls import ask, button, named, together
from napari_medsam_lite.gui.dock.history_table import RunsModel, RunsTable
from napari_medsam_lite.gui.dock.picture_file import ask_for_picture
from napari_medsam_lite.gui.dock.run_picture import RunPicture
from napari_medsam_lite.gui.session.controller import SessionController
from napari_medsam_lite.io.history_entry import HistoryEntry, select

ANY_HEIGHT = 16_777_215
"""Qt's own number for no limit; its name is not in all bindings."""


class HistoryView(QWidget):  # type: ignore[misc]
    """Shows `state.history`, with the picture of the run that is selected.

    Its parts are called ``history_filter``, ``history_this_image``, ``history``,
    ``history_picture``, ``go_to``, ``run_again``, ``save_picture``, ``save_run``, ``delete_run``
    and ``undo_delete``.
    """

    def __init__(self, session: SessionController) -> None:
        super().__init__()
        self._session, self._state, self._told = session, session.state, session.told
        self._model = RunsModel()
        self._table = RunsTable(self._model)
        self._picture = RunPicture(session.state)
        self._chosen: set[str] = set()
        self._text = named(
            LineEdit(tooltip="Shows the runs in whose line all these words stand."),
            "history_filter",
        )
        self._text.native.setPlaceholderText("Filter")
        self._text.native.setClearButtonEnabled(True)
        self._mine = named(
            CheckBox(text="This image", tooltip="Shows the runs on the chosen image only."),
            "history_this_image",
        )
        self._arrange()
        later = together(self._show, self)
        for event in (self._state.events.history, self._state.events.image):
            event.connect(later)
        self._state.events.deleted.connect(together(self._show_deleted, self))
        self._text.changed.connect(later)
        self._mine.changed.connect(self._show)
        self._table.selectionModel().selectionChanged.connect(self._on_selection)
        self._model.modelReset.connect(self._select_again)
        self._show()
        self._show_deleted()

    def look(self, unfolded: bool = True) -> None:
        """Read what was run in earlier sessions: when somebody looks, not as the dock is built."""
        if unfolded:
            self._session.history.look()

    def event(self, event: QEvent) -> bool:
        """Grow with the picture: what folds this view has fixed its height without one."""
        if event.type() == QEvent.Type.LayoutRequest and self.maximumHeight() > 0:
            self.setMaximumHeight(ANY_HEIGHT)
        return bool(super().event(event))

    @property
    def selected(self) -> list[HistoryEntry]:
        """The runs that are selected, in their order."""
        rows = sorted(index.row() for index in self._table.selectionModel().selectedRows())
        return [self._model.shown[row] for row in rows]

    def delete_selected(self) -> None:
        """Delete the selected runs, after asking once."""
        gone = self.selected
        told = "this run" if len(gone) == 1 else f"these {len(gone)} runs"
        if gone and ask(self, f"Delete {told} from the history, with the pictures?"):
            self._session.history.delete([each.id for each in gone])

    def ask_and_save_run(self) -> None:
        """Ask where to save the selected run, and save it."""
        path, _ = QFileDialog.getSaveFileName(
            self, "Save the run", "run.json", "Run files (*.json)"
        )
        if path:
            self.save_run(path)

    def save_run(self, path: str | Path) -> None:
        """Save the selected run; what goes wrong is told in the status line."""
        actions = self._session.past_runs
        self._with_selected(lambda entry: actions.save_run(entry, path))

    def ask_and_save_picture(self) -> None:
        """Ask where to save which picture of the selected run, and save it."""
        actions = self._session.past_runs
        if (wanted := ask_for_picture(self, "run.png")) is not None:
            self._with_selected(lambda entry: actions.save_picture(entry, *wanted))

    def _arrange(self) -> None:
        actions = self._session.past_runs
        self._go = button(
            "go_to",
            "Go to",
            "Shows the slice and the segment of the run, if its image is open.",
            lambda: self._with_selected(actions.go_to),
        )
        self._again = button(
            "run_again",
            "Run again",
            "Does it again with the same boxes and settings, if its image is open.",
            lambda: self._with_selected(actions.run_again),
        )
        self._delete = button(
            "delete_run", "Delete", "Deletes the selected runs.", self.delete_selected
        )
        self._save_picture = button(
            "save_picture",
            "Save picture...",
            "Saves the picture; or the key slices, or a montage of many, as they are now.",
            self.ask_and_save_picture,
        )
        self._save_run = button(
            "save_run",
            "Save run...",
            "Saves the run as a file; medsam-lite segment --run does it again.",
            self.ask_and_save_run,
        )
        undo = button(
            "undo_delete",
            "Undo",
            "Brings the deleted runs back; possible until the dock is closed.",
            self._session.history.restore,
        )
        self._deleted_text = QLabel()
        self._deleted_row = side_by_side(self._deleted_text, undo)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for part in (
            side_by_side(self._text, self._mine),
            self._table,
            self._deleted_row,
            self._picture,
            side_by_side(self._go, self._again, self._delete),
            side_by_side(self._save_picture, self._save_run),
        ):
            layout.addWidget(part)

    def _with_selected(self, act: Callable[[HistoryEntry], None]) -> None:
        chosen = self.selected
        if len(chosen) == 1:
            self._told(lambda: act(chosen[0]))

    def _show(self, *_: object) -> None:
        mine = self._session.past_runs.fingerprint() or "none" if self._mine.value else ""
        self._model.put(select(self._state.history, text=self._text.value, fingerprint=mine))

    def _show_deleted(self) -> None:
        count = self._state.deleted
        self._deleted_text.setText(f"{count} {'run' if count == 1 else 'runs'} deleted.")
        self._deleted_row.setVisible(count > 0)

    def _select_again(self) -> None:
        """The lines are others now; the same runs stay selected, or else the first is."""
        rows = [row for row, each in enumerate(self._model.shown) if each.id in self._chosen]
        self._table.select(rows or [0][: len(self._model.shown)])
        self._on_selection()

    def _on_selection(self, *_: object) -> None:
        chosen = self.selected
        self._chosen = {each.id for each in chosen}
        for one in (self._go, self._again, self._save_picture, self._save_run):
            one.enabled = len(chosen) == 1
        self._delete.enabled = bool(chosen)
        self._session.history.look_at(chosen[0].id if len(chosen) == 1 else "")


def history_part(session: SessionController) -> QWidget:
    """The history, folded away."""
    view = HistoryView(session)
    part = folded("History", "history_part", view)
    part.toggled.connect(view.look)
    return part
