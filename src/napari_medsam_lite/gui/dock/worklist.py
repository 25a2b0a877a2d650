"""The worklist: its cases in a table, buttons to go from one to the next."""

from __future__ import annotations

from magicgui.widgets import CheckBox, PushButton
from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QHeaderView,
    QLabel,
    QLineEdit,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_medsam_lite.gui.dock import controls
from napari_medsam_lite.gui.dock.arrange import qt, side_by_side
from napari_medsam_lite.gui.session.controller import SessionController
from napari_medsam_lite.io.work_case import Standing, WorkRow, count_of, name_of

NAME, STATUS, WHO = range(3)
HEADERS = ("Case", "Status", "Who")
SIGNS: dict[Standing, str] = {"new": "○", "begun": "◐", "done": "●", "needs review": "▲"}
"""Of four shapes, for colours alone are not seen by all."""
ANSWERED = "◌"
ROWS = 6


class WorklistView(QWidget):  # type: ignore[misc]
    """Which cases there are, how far they are, who has them.

    Parameters
    ----------
    session : SessionController
        What is done.
    """

    def __init__(self, session: SessionController) -> None:
        super().__init__()
        self._session, self._state = session, session.worklist.state
        self._filling = False
        self._table = _Table()
        self._progress = QLabel()
        self._progress.setObjectName("worklist_progress")
        self._note = QLineEdit()
        self._note.setObjectName("case_note")
        self._note.setPlaceholderText("Note on this case")
        self._note.setToolTip("Seen by all who open this worklist; write no names of patients.")
        self._open_only = controls.named(
            CheckBox(text="Not done only", tooltip="Hides the cases that are done."),
            "not_done_only",
        )
        self._buttons = _buttons(self, session)
        self._arrange()
        self._table.itemActivated.connect(self._on_activated)
        self._note.editingFinished.connect(self._on_note)
        self._open_only.changed.connect(lambda _: self._show())
        later = controls.together(self._show, self)
        for field in ("title", "rows", "current", "colleague"):
            getattr(self._state.events, field).connect(later)
        session.state.events.busy.connect(later)
        self._show()

    def choose_folder(self) -> None:
        """Ask for a folder of cases, and open it."""
        found = QFileDialog.getExistingDirectory(self, "Open a folder of cases")
        if found:
            self._session.told(lambda: self._session.worklist.open(found))

    def choose_list(self) -> None:
        """Ask for a text file with a path a line, and open it."""
        found, _ = QFileDialog.getOpenFileName(self, "Open a list of cases", "", "Lists (*.txt)")
        if found:
            self._session.told(lambda: self._session.worklist.open(found))

    def _arrange(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        rows = self._buttons
        layout.addWidget(side_by_side(rows["open_worklist"], rows["open_list"]))
        layout.addWidget(self._table, 1)
        layout.addWidget(side_by_side(qt(self._open_only), self._progress))
        layout.addWidget(side_by_side(rows["previous_case"], rows["next_case"]))
        layout.addWidget(self._note)
        layout.addWidget(side_by_side(rows["mark_done"], rows["mark_review"]))

    def _show(self) -> None:
        state = self._state
        rows, left_out = state.rows, self._open_only.value
        self._filling = True
        self._table.clear()
        for index, row in enumerate(rows):
            if left_out and row.status.standing == "done" and index != state.current:
                continue
            item = _line(row, is_open=index == state.current, index=index)
            self._table.addTopLevelItem(item)
            if index == state.current:
                self._table.setCurrentItem(item)
        self._filling = False
        self._progress.setText(f"{count_of(rows)} of {len(rows)} done" if rows else "")
        self._progress.setToolTip(state.title)
        if not self._note.hasFocus():
            self._note.setText("" if state.row is None else state.row.status.note)
        self._enable()

    def _enable(self) -> None:
        free = not self._session.state.busy
        own = free and self._state.row is not None and not self._state.colleague
        for name, button in self._buttons.items():
            if name.startswith("open"):
                button.enabled = free
            elif name.startswith("mark"):
                button.enabled = own
            else:
                button.enabled = free and bool(self._state.rows)
        self._note.setEnabled(own)

    def _on_activated(self, item: QTreeWidgetItem) -> None:
        index = item.data(NAME, Qt.ItemDataRole.UserRole)
        self._session.told(lambda: self._session.worklist.go_to(index))

    def _on_note(self) -> None:
        text = self._note.text()
        if self._state.row is not None and not self._filling:
            self._session.told(lambda: self._session.worklist.note(text))


class _Table(QTreeWidget):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("worklist")
        self.setToolTip("The cases; a double click or Enter opens one.")
        self.setHeaderLabels(HEADERS)
        self.setRootIsDecorated(False)
        self.setUniformRowHeights(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMinimumHeight((self.fontMetrics().lineSpacing() + 2) * (ROWS + 2))
        header = self.header()
        header.setStretchLastSection(False)
        for column in range(len(HEADERS)):
            fits = QHeaderView.ResizeMode.ResizeToContents
            stretches = QHeaderView.ResizeMode.Stretch
            header.setSectionResizeMode(column, stretches if column == NAME else fits)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Room for the header and a few rows."""
        return QSize(280, (self.fontMetrics().lineSpacing() + 8) * (ROWS + 1) + 8)


def _buttons(view: WorklistView, session: SessionController) -> dict[str, PushButton]:
    worklist = session.worklist

    made = [
        controls.button(
            "open_worklist",
            "Folder...",
            "Opens the cases of a folder one after the other.",
            view.choose_folder,
        ),
        controls.button(
            "open_list",
            "List...",
            "Opens the cases that a text file names, a path a line.",
            view.choose_list,
        ),
        controls.button(
            "previous_case",
            "Previous",
            "Saves this case and opens the one before.",
            lambda: session.told(lambda: worklist.step(-1)),
        ),
        controls.button(
            "next_case",
            "Next",
            "Saves this case and opens the next one.",
            lambda: session.told(lambda: worklist.step(1)),
        ),
        controls.button(
            "mark_done",
            "Done",
            "Saves this case, marks it as done and opens the next that is not.",
            lambda: session.told(lambda: worklist.mark("done")),
        ),
        controls.button(
            "mark_review",
            "Needs review",
            "Saves this case for a colleague to look at, and opens the next.",
            lambda: session.told(lambda: worklist.mark("needs review")),
        ),
    ]
    return {each.native.objectName(): each for each in made}


def _line(row: WorkRow, *, is_open: bool, index: int) -> QTreeWidgetItem:
    status = row.status
    sign = ANSWERED if row.answered else SIGNS[status.standing]
    who = row.holder.who if row.holder is not None else status.who.partition(" on ")[0]
    item = QTreeWidgetItem([row.case.name, f"{sign} {status.standing}", who])
    item.setData(NAME, Qt.ItemDataRole.UserRole, index)
    hint = [str(row.case.source)]
    if row.answered:
        hint.append("First answers are there.")
    if row.holder is not None:
        hint.append(f"{name_of(row.holder)} has it since {row.holder.since[11:16]}.")
    if status.who:
        hint.append(f"{status.who} changed it last: {status.changed}.")
    hint += [status.note] if status.note else []
    font = item.font(NAME)
    font.setBold(is_open)
    for column in range(len(HEADERS)):
        item.setToolTip(column, "\n".join(hint))
        item.setFont(column, font)
    return item
