"""The list of presets: what cannot run here is grey, what is only emulated bears a warning."""

from __future__ import annotations

from magicgui.widgets import ComboBox
from qtpy.QtCore import Qt
from qtpy.QtGui import QIcon
from qtpy.QtWidgets import QStyle

from napari_medsam_lite.acceleration.availability import must_ask_torch, unavailable
from napari_medsam_lite.acceleration.emulated import emulated
from napari_medsam_lite.acceleration.presets import PRESETS
from napari_medsam_lite.core.settings import AUTO
from napari_medsam_lite.gui.dock.controls import choice
from napari_medsam_lite.gui.session.state import SessionState


def preset_choice(state: SessionState) -> ComboBox:
    """How the network is run."""
    options = {AUTO: "the fastest measured here; before that, what suits this computer"}
    options |= {name: preset.summary for name, preset in PRESETS.items()}
    control = choice(
        state,
        "preset",
        options,
        "How the network is run: faster ways may differ a little from the published arithmetic "
        "(eager). Point at an entry to see what it is.",
    )

    warning = control.native.style().standardIcon(QStyle.StandardPixmap.SP_MessageBoxWarning)

    def grey_out(*_: object) -> None:
        if must_ask_torch():
            return  # known once the network is loaded; until then the engine refuses
        for row, (name, hint) in enumerate(options.items()):
            reason, slow = unavailable(name, state.device), emulated(name, state.device)
            control.native.model().item(row).setEnabled(reason is None)
            shown = reason or "\n".join(filter(None, (hint, slow)))
            control.native.setItemData(row, shown, Qt.ItemDataRole.ToolTipRole)
            control.native.setItemIcon(row, warning if slow and not reason else QIcon())

    state.events.device.connect(grey_out)
    state.events.in_use.connect(grey_out)
    grey_out()
    return control
