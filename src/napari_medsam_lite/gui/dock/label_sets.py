"""Which names are offered: a label set that is built in, or one from a file."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QComboBox, QFileDialog

from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.core.labelset import BUILT_IN, LabelSet
from napari_medsam_lite.gui.dock.controls import narrow
from napari_medsam_lite.gui.session.segment_actions import SegmentActions
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.io.labelsets import read_label_set, write_label_set

OPEN, SAVE = "Open names...", "Save names..."
FILES = "Label sets (*.json *.csv *.ctbl *.label *.txt)"


class LabelSetChoice(QComboBox):  # type: ignore[misc]
    """A combo box of label sets, with files to open and to save at its end.

    Parameters
    ----------
    state : SessionState
        Its segments' names are saved, and what happens is told there.
    actions : SegmentActions
        Whose label set is chosen.
    """

    def __init__(self, state: SessionState, actions: SegmentActions) -> None:
        super().__init__()
        self._state, self._actions = state, actions
        self._sets = dict(BUILT_IN)
        self.setObjectName("label_set")
        self.setToolTip("The names to choose from, with their colours and codes.")
        self.addItems([*BUILT_IN, OPEN, SAVE])
        self.setCurrentText(actions.label_set.name)
        narrow(self)
        self.textActivated.connect(self._choose)

    def open(self, path: str | Path) -> None:
        """Take the names of a file; what goes wrong is told in the status line."""
        try:
            found = read_label_set(path)
        except MedSAMLiteError as error:
            self._state.tell(str(error), problem=True)
        else:
            self._take(found)
            self._state.tell(f"{len(found.classes)} names were read from {Path(path).name}.")

    def save(self, path: str | Path) -> None:
        """Write the names, colours and codes of the image's segments; told as `open`."""
        classes = tuple(each.label_class for each in self._state.segmentation.segments)
        try:
            write_label_set(path, LabelSet(Path(path).stem, classes))
        except MedSAMLiteError as error:
            self._state.tell(str(error), problem=True)
        else:
            self._state.tell(f"{len(classes)} names were saved as {Path(path).name}.")

    def _choose(self, text: str) -> None:
        if text in self._sets:
            self._actions.label_set = self._sets[text]
            return
        self.setCurrentText(self._actions.label_set.name)
        if text == OPEN:
            path, _ = QFileDialog.getOpenFileName(self, "Open names", "", FILES)
            if path:
                self.open(path)
        elif text == SAVE:
            path, _ = QFileDialog.getSaveFileName(self, "Save names", "names.json", FILES)
            if path:
                self.save(path)

    def _take(self, label_set: LabelSet) -> None:
        self._actions.label_set = self._sets[label_set.name] = label_set
        if self.findText(label_set.name) < 0:
            self.insertItem(self.findText(OPEN), label_set.name)
        self.setCurrentText(label_set.name)
