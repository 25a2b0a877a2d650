"""Save: labels into files on the worker thread, each read back before it is called saved."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.core.errors import Interrupted, MedSAMLiteError
from napari_medsam_lite.core.label_volume import classes_in
from napari_medsam_lite.core.labelset import LabelClass
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.gui.thread.task import Ending, Task
from napari_medsam_lite.gui.thread.worker import post
from napari_medsam_lite.io.case_record import CaseRecord, FileReference

Rows = tuple[dict[str, Any], ...]
"""Lines of the history, as its files hold them."""


@dataclass(frozen=True)
class ToSave:
    """What is saved, taken down when the button was pressed.

    Attributes
    ----------
    labels : Volume
        A copy, for a person may paint on, with its place.
    classes : tuple of LabelClass
        What the numbers stand for.
    path : Path
        Its suffix chooses the format.
    each : bool
        Whether each class gets a file of its own, beside `path`.
    case : CaseRecord or None
        What is kept of the work besides, in a case file beside `path`.
    empty : bool
        Whether labels without a voxel are saved too.
    history : callable
        The runs on the image of a fingerprint, for the case file; called on the worker thread.
    fingerprint : callable
        Gives that of the image; called there too, for slices may have to be decoded.
    """

    labels: Volume
    classes: tuple[LabelClass, ...]
    path: Path
    each: bool = False
    case: CaseRecord | None = None
    empty: bool = False
    history: Callable[[str], Rows] = lambda _: ()
    fingerprint: Callable[[], str] = lambda: ""


class SaveTask(Task):
    """Writes one file, or one a class.

    Parameters
    ----------
    wanted : ToSave
        What, and where to.
    state : SessionState
        Where progress and the outcome are shown.
    ended : callable
        Is told at the end whether all was saved.
    """

    def __init__(
        self,
        wanted: ToSave,
        state: SessionState,
        ended: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self._wanted, self._state, self._ended = wanted, state, ended
        self._given_up, self._unstoppable = threading.Event(), False
        self._saved: list[Path] = []
        self._case: Path | None = None

    def work(self) -> Iterator[Any]:
        """Write and read back, all in one step: what is told in between is posted.

        So a dock that is closed meanwhile lets it come to its end.
        """
        from napari_medsam_lite.io.formats import write_labels  # brings nibabel, slow to the dock

        labels = self._wanted.labels
        data = np.asarray(labels.data)
        classes = classes_in(data, self._wanted.classes)
        if not classes and not self._wanted.empty:
            raise MedSAMLiteError("There is nothing to save: no segment has a voxel yet.")
        for path, part, kept in self._parts(data, classes):
            write_labels(path, part, labels, classes=kept, progress=self._go_on)
            post(path)
        if self._wanted.case is not None:
            self._save_case(self._wanted.case)
        yield from ()

    def on_items(self, items: list[Any]) -> None:
        """Show progress."""
        for item in items:
            if isinstance(item, Path):
                self._saved.append(item)
            else:
                self._state.tell(item)
        if self._wanted.each:
            self._state.total, self._state.done = len(self._wanted.classes), len(self._saved)

    def on_ended(self, ending: Ending) -> None:
        """Tell what was saved."""
        self._state.busy = False
        if ending.how == "failed":
            self._state.tell(ending.reason, problem=True)
        elif ending.how == "cancelled":
            names = ", ".join(path.name for path in self._saved) or "nothing"
            self._state.tell(f"Cancelled: {names} was saved.")
        else:
            self._state.total = self._state.done
            self._state.tell(" ".join((self._outcome(), *self._wanted.labels.notes)))
        self._ended(ending.how == "finished")

    def interrupt(self) -> None:
        """Give up before the file takes its name; the old one stays then."""
        if not self._unstoppable:
            self._given_up.set()

    def finish(self) -> None:
        """From now on, save to the end: the dock is closed, and nobody means to lose it."""
        self._unstoppable = True

    def _go_on(self, what: str) -> None:
        if self._given_up.is_set():
            raise Interrupted("The file was not saved.")
        post(f"{what} {self._wanted.path.name}...")

    def _save_case(self, case: CaseRecord) -> None:
        """Write the case file: it names the labels that are saved now, and their image."""
        from napari_medsam_lite.io.casefile import (
            case_path,
            labels_fingerprint,
            refer_to,
            save_case,
        )

        wanted, file = self._wanted, case_path(self._wanted.path)
        labels = labels_fingerprint(np.asarray(wanted.labels.data))
        source, fingerprint = wanted.labels.source, wanted.fingerprint()
        kept = replace(
            case,
            image=FileReference(fingerprint=fingerprint)
            if source is None
            else refer_to(source.path, file, fingerprint),
            labels=refer_to(wanted.path, file, labels),
            history=wanted.history(fingerprint),
        )
        save_case(file, kept, wanted.labels.affine)
        self._case = file

    def _parts(
        self, data: NDArray[Any], classes: tuple[LabelClass, ...]
    ) -> Iterator[tuple[Path, NDArray[Any], tuple[LabelClass, ...]]]:
        """Path, labels and classes of each file."""
        if not self._wanted.each:
            yield self._wanted.path, data, classes
            return
        for one in classes:
            yield path_of(self._wanted.path, one), np.where(data == one.number, data, 0), (one,)

    def _outcome(self) -> str:
        if self._wanted.each:
            names = ", ".join(path.name for path in self._saved)
            return f"Saved as {names}, each read again and found the same."
        told = f"Saved as {self._wanted.path.name}, read again and found the same."
        return told if self._case is None else f"{told} The case is in {self._case.name}."


def path_of(path: Path, each: LabelClass) -> Path:
    """The file of one class beside `path`."""
    from napari_medsam_lite.io.registry import file_suffix
    from napari_medsam_lite.io.written import class_path

    return class_path(path, file_suffix(path), each)
