"""What a worklist does on the worker thread: cases are listed, opened and prepared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_medsam_lite.core.errors import Interrupted, MedSAMLiteError
from napari_medsam_lite.core.segmentation import group_by_label, number_names
from napari_medsam_lite.core.settings import Settings
from napari_medsam_lite.gui.session.engine import SessionEngine
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.gui.thread.task import Ending, Task
from napari_medsam_lite.gui.thread.worker import post
from napari_medsam_lite.io.claims import Claim, Holder
from napari_medsam_lite.io.work_case import WorkCase, WorkRow, name_of, rows_of

if TYPE_CHECKING:
    from napari_medsam_lite.io.opened import FoundCase, OpenedCase


class _TellingTask(Task):
    """Shows texts as they come, hands the one other item on at the end, or tells what went wrong.

    Parameters
    ----------
    state : SessionState
        Where progress and failures are shown.
    finished : callable
        Is given the item.
    failed : callable
        Is told that there is none.
    """

    def __init__(
        self,
        state: SessionState,
        finished: Callable[[Any], None],
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        self._state, self._finished, self._failed = state, finished, failed
        self._found: Any = None
        self._given_up = False

    def on_items(self, items: list[Any]) -> None:
        """Show progress."""
        for item in items:
            if isinstance(item, str):
                self._state.tell(item)
            else:
                self._found = item

    def on_ended(self, ending: Ending) -> None:
        """Hand on what was found."""
        self._state.busy = False
        if ending.how == "finished":
            self._finished(self._found)
        else:
            self._state.tell(ending.reason or "Cancelled.", problem=ending.how == "failed")
            self._failed()

    def interrupt(self) -> None:
        """Give up at the next slice."""
        self._given_up = True

    def _tell(self, done: int, count: int) -> None:
        if self._given_up:
            raise Interrupted("The case was not read to its end.")
        post(f"Reading: {done} of {count} slices...")


class ListTask(_TellingTask):
    """Reads which cases there are; hands on their rows."""

    def __init__(
        self, path: Path, state: SessionState, finished: Callable[[list[WorkRow]], None]
    ) -> None:
        super().__init__(state, finished)
        self._path = path

    def work(self) -> Iterator[list[WorkRow]]:
        """All in one step."""
        from napari_medsam_lite.io.worklist import read_worklist  # brings nibabel

        yield rows_of(read_worklist(self._path))


class OpenTask(_TellingTask):
    """Claims a case and reads it; hands on the claim, or who else has it, with the case.

    `found` is its image, if that was read ahead.
    """

    def __init__(
        self,
        case: WorkCase,
        found: FoundCase | None,
        state: SessionState,
        finished: Callable[[tuple[OpenedCase, Claim | str]], None],
        failed: Callable[[], None],
    ) -> None:
        super().__init__(state, finished, failed)
        self._case, self._read = case, found
        self._claim: Claim | str = ""

    def work(self) -> Iterator[str | tuple[OpenedCase, Claim | str]]:
        """The claim comes first: what is read then is what the holder before has left."""
        from napari_medsam_lite.io.opened import find_case, with_labels  # brings nibabel, slow

        self._claim = _claim(self._case)
        try:
            found = self._read or find_case(self._case, self._tell)
            yield with_labels(self._case, found), self._claim
        except BaseException:  # also when the job was cancelled meanwhile
            self._release()
            raise

    def interrupt(self) -> None:
        """Give up; what is handed on too late to be heard would leave its claim behind."""
        super().interrupt()
        self._release()

    def _release(self) -> None:
        if isinstance(self._claim, Claim):
            self._claim.release()


class AheadTask(Task):
    """In idle time: how all cases stand, then the next case's image, and what its boxes need.

    Parameters
    ----------
    cases : sequence of WorkCase
        The worklist.
    upcoming : WorkCase or None
        The one that is opened next.
    found : FoundCase or None
        Its image, if that was read before.
    settings : Settings or None
        With them its boxes are answered, so that all they need is on disk; None means not.
    engine : SessionEngine
        Who answers.
    told : callable
        Is given each row list, `FoundCase` and text as it comes.
    ended : callable
        Is told whether it came to an end, not displaced by other idle work.
    """

    def __init__(
        self,
        cases: list[WorkCase],
        upcoming: WorkCase | None,
        found: FoundCase | None,
        settings: Settings | None,
        engine: SessionEngine,
        told: Callable[[Any], None],
        ended: Callable[[bool], None],
    ) -> None:
        self._cases, self._upcoming, self._found = cases, upcoming, found
        self._settings, self._engine = settings, engine
        self._told, self._ended = told, ended
        self._given_up = False

    def work(self) -> Iterator[Any]:
        """A step at a time; what was encoded before is not encoded again."""
        self._given_up = False
        yield rows_of(self._cases)
        if self._upcoming is None:
            return
        from napari_medsam_lite.io.opened import find_case  # brings nibabel, slow to the dock

        if self._found is None:
            self._found = find_case(self._upcoming, self._go_on)
            yield self._found
        if self._settings is not None and self._found.contents.boxes:
            yield from self._answers(self._found, self._settings)

    def on_items(self, items: list[Any]) -> None:
        """Hand them on."""
        for item in items:
            self._told(item)

    def on_ended(self, ending: Ending) -> None:
        """A failure is not told: whoever opens the case will meet it."""
        self._ended(ending.how != "cancelled")

    def interrupt(self) -> None:
        """Cut the encoding or reading in flight short."""
        self._given_up = True
        self._engine.interrupt()

    def _go_on(self, *_: object) -> None:
        if self._given_up:
            raise Interrupted("The next case is read later.")

    def _answers(self, found: FoundCase, settings: Settings) -> Iterator[str]:
        """Ask what a first run would ask; of the answers, the embeddings stay on disk."""
        from napari_medsam_lite.engine.prepared import prepare_volume

        boxes = tuple(found.contents.boxes)
        _, segments = group_by_label(boxes, number_names(found.names))
        volume = found.contents.volume
        segmenter = self._engine.load(settings, volume, lambda _: None, len(segments))
        prepared = prepare_volume(volume, settings.window, settings.axis)
        for count, _ in enumerate(segmenter.segment(prepared, segments, settings), start=1):
            yield f"The next case: {count} masks are prepared."


def _claim(case: WorkCase) -> Claim | str:
    """The claim, or why there is none."""
    try:
        claim = case.claim()
    except MedSAMLiteError as error:  # a folder that may not be written to
        return str(error)
    if isinstance(claim, Holder):
        return f"{name_of(claim)} has this case since {claim.since[11:16] or 'some time'}."
    return claim
