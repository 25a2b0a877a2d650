"""What a person saves of an image: its labels with names, colours and codes, where they lie."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np
from napari.layers import Image

from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.core.files import is_there
from napari_medsam_lite.core.settings import Settings
from napari_medsam_lite.gui.session.casing import case_of
from napari_medsam_lite.gui.session.desk import Desk
from napari_medsam_lite.gui.session.desks import Desks
from napari_medsam_lite.gui.session.save_task import Rows, SaveTask, ToSave, path_of
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.gui.viewer.geometry import snapshot_of, transform
from napari_medsam_lite.gui.viewer.image_layers import fingerprint_later
from napari_medsam_lite.io.case_record import CaseRecord
from napari_medsam_lite.io.layer_place import labels_in_place

_NOT_IN_NAMES = re.compile(r'[\\/:*?"<>|\x00-\x1f]+')
USUAL = ".nii.gz"


class Saving:
    """Saves the labels of the chosen image.

    Parameters
    ----------
    state : SessionState
        Of the session.
    desks : Desks
        Of all images.
    settings : callable
        The choices as they are now.
    start : callable
        Starts the task.
    ask : callable
        Puts a question to the user that is answered by yes or no.
    saving : callable
        Is told the desk as its labels are about to be taken down; what it returns is called when
        they are saved.
    history : callable
        See `ToSave`.
    """

    def __init__(
        self,
        state: SessionState,
        desks: Desks,
        settings: Callable[[], Settings],
        start: Callable[[SaveTask], None],
        ask: Callable[[str], bool],
        saving: Callable[[Desk], Callable[[], None]],
        history: Callable[[str], Rows],
    ) -> None:
        self._state, self._desks, self._settings = state, desks, settings
        self._start, self._ask, self._saving, self._history = start, ask, saving, history
        self._last: WeakKeyDictionary[Image, Path] = WeakKeyDictionary()
        self._task: SaveTask | None = None

    def suggestion(self) -> Path:
        """Where the chosen image was saved last, or a name beside its file.

        Raises
        ------
        MedSAMLiteError
            If there is nothing to save.
        """
        desk = self._desks.adopted()
        if desk.highest == 0:
            raise MedSAMLiteError("There is nothing to save: no segment has a voxel yet.")
        if desk.image in self._last:
            return self._last[desk.image]
        source = snapshot_of(desk.image, desk.leading).source
        folder = Path.home() if source is None else source.path.parent
        return folder / f"{_NOT_IN_NAMES.sub('_', str(desk.image.name))} labels{USUAL}"

    def save(
        self,
        path: str | Path,
        each: bool = False,
        *,
        empty: bool = False,
        ended: Callable[[bool], None] = lambda _: None,
    ) -> None:
        """Write the labels as they are now, and tell when they were read back.

        Parameters
        ----------
        path : path
            Its suffix chooses the format; a file that is there is replaced.
        each : bool
            A file for each segment beside `path`; the user is asked whether to replace files.
        empty : bool
            Whether labels without a voxel are saved too.
        ended : callable
            Is told at the end whether all was saved.

        Raises
        ------
        MedSAMLiteError
            If there are no labels, or they cannot be saved so.
        """
        desk = self._desks.adopted()
        if empty:
            self._desks.labelled(desk)
        saved = self._saving(desk)
        wanted = to_save(desk, Path(path), each, self._case_of(desk), empty)
        if each and not self._may_replace(wanted):
            return
        fingerprint = fingerprint_later(desk.image)
        wanted = replace(wanted, history=self._history, fingerprint=fingerprint)
        self._last[desk.image] = wanted.path

        def told(all_of_it: bool) -> None:
            if all_of_it:
                saved()
            ended(all_of_it)

        self._task = SaveTask(wanted, self._state, told)
        self._start(self._task)

    def close(self) -> None:
        """Let what is being saved come to its end."""
        if self._task is not None:
            self._task.finish()
        self._task = None

    def _case_of(self, desk: Desk) -> CaseRecord:
        painted = None if desk.masks is None else desk.masks.not_computed(desk.leading)
        return case_of(desk, self._settings(), painted)

    def _may_replace(self, wanted: ToSave) -> bool:
        paths = [path_of(wanted.path, each) for each in wanted.classes]
        there = [path.name for path in paths if is_there(path)]
        return not there or self._ask(f"{', '.join(there)}: there already. Replace?")


def to_save(
    desk: Desk, path: Path, each: bool, case: CaseRecord | None = None, empty: bool = False
) -> ToSave:
    """The desk's labels as they are now, of the volume that is looked at.

    A file for each segment has no case file: that would have to name them all.

    Raises
    ------
    MedSAMLiteError
        If there are none.
    """
    if desk.labels is None:
        raise MedSAMLiteError("There is nothing to save: no segment has a voxel yet.")
    labels = np.array(desk.labels.data[desk.leading])
    matrix, offset = transform(desk.labels)
    size = labels.ndim  # of an image over time, its volume
    world = np.eye(4)
    world[3 - size : 3, 3 - size : 3] = matrix[-size:, -size:]
    world[3 - size : 3, 3] = offset[-size:]
    labels = labels.reshape((1,) * (3 - size) + labels.shape)
    place = labels_in_place(labels, world, desk.image.metadata)
    classes = tuple(each.label_class for each in desk.segmentation.segments)
    return ToSave(place, classes, path, each, None if each else case, empty)
