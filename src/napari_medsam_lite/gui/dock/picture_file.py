"""Where a picture goes, and what is on it: one dialog asks for both."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QWidget

from napari_medsam_lite.gui.dock.controls import ask
from napari_medsam_lite.gui.session.pictures import What

KINDS: dict[str, What] = {
    "The slice (*.png)": "slice",
    "The key slices (*.png)": "key slices",
    "A montage of many slices (*.png)": "montage",
}
SUFFIX = ".png"


def ask_for_picture(owner: QWidget, suggestion: str) -> tuple[Path, What] | None:
    """The file and what is drawn; None if the user thought better of it."""
    found, chosen = QFileDialog.getSaveFileName(
        owner, "Save the picture", suggestion, ";;".join(KINDS)
    )
    if not found:
        return None
    path = Path(found)
    if path.suffix.lower() != SUFFIX:
        # The dialog has asked about the name as it was typed, not about this one.
        path = path.with_name(path.name + SUFFIX)
        if path.exists() and not ask(owner, f"{path.name} is there already. Replace?"):
            return None
    return path, KINDS.get(chosen, "slice")
