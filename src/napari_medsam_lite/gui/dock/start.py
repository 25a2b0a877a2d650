"""What an empty viewer says: how to begin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtWidgets import QFileDialog, QLabel, QVBoxLayout, QWidget

from napari_medsam_lite.gui.dock.arrange import qt, side_by_side
from napari_medsam_lite.gui.dock.controls import button
from napari_medsam_lite.gui.session.controller import SessionController
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.gui.viewer.geometry import held_by

PLUGIN = "napari-medsam-lite"
WORDS = (
    "Open a CT to begin: drop a file on the canvas, or press a button here. Then name a segment, "
    "drag a box around it, and its mask is there."
)


class StartView(QWidget):  # type: ignore[misc]
    """Seen while there is no image: in words what to do, and buttons that do it.

    Parameters
    ----------
    viewer : napari.Viewer
        Where files and the sample are opened.
    state : SessionState
        Tells whether there is an image.
    told : callable
        Does something and shows an expected error as a sentence.
    opened : callable
        Is told that the sample was opened.
    """

    def __init__(
        self,
        viewer: Any,
        state: SessionState,
        told: Callable[[Callable[[], object]], None],
        opened: Callable[[], None],
    ) -> None:
        super().__init__()
        self._viewer, self._state, self._told, self._opened = viewer, state, told, opened
        words = QLabel(WORDS)
        words.setWordWrap(True)
        words.setObjectName("start")
        sample = button(
            "open_sample",
            "Open sample",
            "Opens a CT that comes with this plugin, with a first box suggested.",
            lambda: told(self._open_sample),
        )
        files = button(
            "open_files",
            "Open files...",
            "Opens files of your own.",
            lambda: told(self._open_files),
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.addWidget(words)
        layout.addWidget(side_by_side(qt(sample), qt(files)))
        state.events.images.connect(self._follow)
        self._follow()

    def _follow(self, *_: object) -> None:
        self.setVisible(not self._state.images)

    def _open_sample(self) -> None:
        self._viewer.open_sample(PLUGIN, "ct_phantom")
        self._opened()

    def _open_files(self) -> None:
        paths, _ = QFileDialog.getOpenFileNames(self, "Open images")
        if paths:
            self._viewer.open(paths, plugin=PLUGIN)


def suggest_box(session: SessionController) -> None:
    """Draw the first box that the sample has, round a segment of its name."""
    image = session.state.image
    held = {} if image is None else held_by(image)
    boxes, names = held.get("boxes", []), held.get("names", [])
    if boxes:
        session.run_actions.add_boxes()
        session.segments.rename(session.state.segmentation.current, str((*names, "organ")[0]))
        session.run_actions.add_box(boxes[0])
