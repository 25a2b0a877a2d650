"""The other series of the folder that an image is from, read when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Layer

from napari_medsam_lite.core.errors import Interrupted
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.gui.thread.task import Ending, Task
from napari_medsam_lite.gui.thread.worker import post
from napari_medsam_lite.gui.viewer.geometry import held_by

if TYPE_CHECKING:
    from napari_medsam_lite.io.dicom_series import Series


class SeriesChoice:
    """One series of a folder is open at first; the others can be chosen.

    Parameters
    ----------
    viewer : napari.Viewer or napari.components.ViewerModel
        Where series are opened.
    state : SessionState
        Holds the image that is chosen.
    start : callable
        Starts the task.
    """

    def __init__(
        self, viewer: Any, state: SessionState, start: Callable[[SeriesTask], None]
    ) -> None:
        self._viewer, self._state, self._start = viewer, state, start

    @property
    def offered(self) -> tuple[Series, ...]:
        """All series of the chosen image's folder; empty if there is but one."""
        image = self._state.image
        return () if image is None else held_by(image).get("series", ())

    @property
    def chosen(self) -> Series | None:
        """The one of them that the image is."""
        image = self._state.image
        return None if image is None else held_by(image).get("chosen")

    def choose(self, one: Series) -> None:
        """Show that series: the layer that it is in already, or one that is made of it now.

        Raises
        ------
        MedSAMLiteError
            If a run is in progress.
        """
        before = self._state.image
        if before is None or one is self.chosen:
            return
        for image in self._state.images:
            if held_by(image).get("chosen") is one:
                self._show(image, before)
                return
        path = held_by(before)["source"].path
        self._start(SeriesTask(one, self.offered, path, self._state, self._open))

    def _open(self, layers: list[Any]) -> None:
        before = self._state.image
        added = [self._viewer.add_layer(Layer.create(*layer)) for layer in layers]
        self._show(added[0], before)

    def _show(self, image: Image, before: Image | None) -> None:
        if before is not None:
            before.visible = False
        image.visible = True
        self._state.image = image


class SeriesTask(Task):
    """Reads one series.

    Parameters
    ----------
    one : Series
        Which.
    offered : tuple of Series
        All there are.
    path : Path
        The folder.
    state : SessionState
        Where progress and the outcome are shown.
    opened : callable
        Is given the layers.
    """

    def __init__(
        self,
        one: Series,
        offered: tuple[Series, ...],
        path: Path,
        state: SessionState,
        opened: Callable[[list[Any]], None],
    ) -> None:
        self._one, self._offered, self._path = one, offered, path
        self._state, self._opened = state, opened
        self._given_up = False
        self._layers: list[Any] = []

    def work(self) -> Iterator[Any]:
        """Read it, telling how far it is."""
        from napari_medsam_lite.io.hooks import series_layers  # brings nibabel, slow to the dock

        yield series_layers(self._one, self._offered, self._path, self._tell)

    def on_items(self, items: list[Any]) -> None:
        """Show progress."""
        for item in items:
            if isinstance(item, str):
                self._state.tell(item)
            else:
                self._layers = item

    def on_ended(self, ending: Ending) -> None:
        """Open the layers, and tell what is uncommon about them."""
        self._state.busy = False
        if ending.how != "finished":
            self._state.tell(ending.reason or "Cancelled.", problem=ending.how == "failed")
            return
        self._opened(self._layers)
        notes = held_by(self._state.image).get("notes", ()) if self._state.image else ()
        self._state.tell(" ".join((f"{self._one.name} is open.", *notes)))

    def interrupt(self) -> None:
        """Give up at the next slice."""
        self._given_up = True

    def _tell(self, done: int, count: int) -> None:
        if self._given_up:
            raise Interrupted("The series was not read to its end.")
        post(f"Reading {self._one.name}: {done} of {count} slices...")
