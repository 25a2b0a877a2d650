"""What napari's preferences hold for this plugin, as the defaults of each dock.

napari 0.9 makes the page from ``configurations`` in the manifest. An older one has no such page:
the defaults of `SessionState` stay.
"""

from __future__ import annotations

import logging
from typing import Any

from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.engine.disk_place import DiskPlace, choose_disk_place
from napari_medsam_lite.gui.session.state import SessionState

PLUGIN = "napari-medsam-lite"
DEFAULTS = ("preset", "device", "on_disk", "autosave")
"""Fields of the state, and of the page's part ``dock``."""

log = logging.getLogger(__name__)


def page() -> Any | None:
    """Our page of napari's preferences, or None if this napari has none."""
    try:
        from napari.settings import get_plugin_settings
    except ImportError:
        return None
    try:
        return get_plugin_settings(PLUGIN)
    except KeyError:  # opened by a script that does not know the plugin's manifest
        return None


class Preferences:
    """Keeps the defaults of one dock as the page has them.

    A choice of the dock follows the page as long as it is the page's: what was chosen otherwise in
    the dock stays.

    Parameters
    ----------
    state : SessionState
        Where the defaults are shown.
    """

    def __init__(self, state: SessionState) -> None:
        self._state = state
        # What a script chose before the dock opened stays too.
        self._seen: dict[str, Any] = {name: getattr(SessionState, name) for name in DEFAULTS}
        self._page: Any | None = None

    def open(self) -> None:
        """Take the page's values, and follow it."""
        self._page = page()
        if self._page is not None:
            self._page.dock.events.connect(self._follow)
            self._page.disk.events.connect(self._place)
            self._follow()
            self._place()

    def close(self) -> None:
        """Follow no longer."""
        if self._page is not None:
            self._page.dock.events.disconnect(self._follow)
            self._page.disk.events.disconnect(self._place)
            self._page = None

    def _follow(self, *_: object) -> None:
        assert self._page is not None
        for name in DEFAULTS:
            value = getattr(self._page.dock, name)
            if getattr(self._state, name) == self._seen[name]:
                setattr(self._state, name, value)
            self._seen[name] = value

    def _place(self, *_: object) -> None:
        assert self._page is not None
        try:
            choose_disk_place(DiskPlace(self._page.disk.folder, self._page.disk.size))
        except FileFormatError as error:
            log.warning("%s", error)
