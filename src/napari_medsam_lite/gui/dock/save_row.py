"""Saving: labels, in one file or one a segment, and pictures."""

from __future__ import annotations

from pathlib import Path

from magicgui.widgets import CheckBox
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_medsam_lite.gui.dock.arrange import column, side_by_side
from napari_medsam_lite.gui.dock.controls import ask, button, named
from napari_medsam_lite.gui.dock.parts import whenever
from napari_medsam_lite.gui.dock.picture_file import ask_for_picture
from napari_medsam_lite.gui.session.controller import SessionController
from napari_medsam_lite.gui.session.saving import USUAL


def save_row(session: SessionController) -> QWidget:
    """The buttons ``save`` and ``save_picture_now``, and the choice ``save_each``."""
    state = session.state
    each = named(
        CheckBox(
            text="A file a segment",
            tooltip="Each segment goes into a file of its own: NAME-1-liver.nii.gz, ...",
        ),
        "save_each",
    )
    save = button(
        "save",
        "Save...",
        "Saves the masks with names and colours, for 3D Slicer, ITK-SNAP, a PACS or a script; the "
        "file is read again and compared before it is called saved.",
        lambda: session.told(lambda: ask_and_save(session, save.native.window(), each.value)),
    )
    picture = button(
        "save_picture_now",
        "Picture...",
        "Saves a picture of the slice shown, of the key slices, or a montage of many.",
        lambda: session.told(lambda: ask_and_draw(session, picture.native.window())),
    )
    row = column(side_by_side(save, picture), each)

    def enable() -> None:
        save.enabled = picture.enabled = state.image is not None and not state.busy

    whenever(state, row, enable, "image", "busy")
    return row


def ask_and_save(session: SessionController, owner: QWidget, each: bool) -> None:
    """Ask for the file, and save.

    Raises
    ------
    MedSAMLiteError
        If there is nothing to save.
    """
    suggestion = session.saving.suggestion()
    filters = label_filters()
    suffix = next((s for ends in filters.values() for s in ends if str(suggestion).endswith(s)), "")
    usual = next(text for text, ends in filters.items() if (suffix or USUAL) in ends)
    found, chosen = QFileDialog.getSaveFileName(
        owner, "Save the labels", str(suggestion), ";;".join(filters), usual
    )
    if not found:
        return
    path = Path(found)
    suffixes = tuple(suffix for ends in filters.values() for suffix in ends)
    if not path.name.lower().endswith(suffixes):
        # The dialog has asked about the name as it was typed, not about this one.
        path = path.with_name(path.name + filters.get(chosen, (USUAL,))[0])
        if not each and path.exists() and not ask(owner, f"{path.name} is there already. Replace?"):
            return
    session.saving.save(path, each)


def ask_and_draw(session: SessionController, owner: QWidget) -> None:
    """Ask for the file and what is on it, and draw.

    Raises
    ------
    MedSAMLiteError
        If there is nothing to draw.
    """
    if (wanted := ask_for_picture(owner, "picture.png")) is not None:
        session.pictures.save(*wanted)


def label_filters() -> dict[str, tuple[str, ...]]:
    """What file dialogs say of each format that labels are written in, and its suffixes."""
    from napari_medsam_lite.io.registry import FORMATS  # brings nibabel, slow to the dock

    rows = [row for row in FORMATS if row.write is not None]
    return {f"{row.labels} (*{' *'.join(row.suffixes)})": row.suffixes for row in rows}
