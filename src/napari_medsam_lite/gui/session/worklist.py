"""A worklist in a session: one case is open at a time, and its labels are saved on the way."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Layer

from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.gui.session.case_ahead import CaseAhead
from napari_medsam_lite.gui.session.desks import Desks
from napari_medsam_lite.gui.session.runs import Runs
from napari_medsam_lite.gui.session.saving import Saving
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.gui.session.worklist_state import WorklistState
from napari_medsam_lite.gui.session.worklist_tasks import ListTask, OpenTask
from napari_medsam_lite.gui.thread.runner import IN_PROGRESS
from napari_medsam_lite.gui.viewer.geometry import held_by
from napari_medsam_lite.io.claims import Claim
from napari_medsam_lite.io.kept_claim import KeptClaim
from napari_medsam_lite.io.metadata import FINGERPRINT
from napari_medsam_lite.io.work_case import Standing, WorkCase, WorkRow, count_of

if TYPE_CHECKING:
    from napari_medsam_lite.io.opened import OpenedCase

NOT_SAVED = "What you do here is not saved on the way."
ALL_DONE = "All cases of this worklist are done."
CHANGED = "This case was opened by others since; open it anew."
NONE_FREE = "No further case is free: the others are done, need review, or a colleague has them."


class Worklist:
    """Opens cases one after the other; nothing of one is left when the next is shown.

    Parameters
    ----------
    viewer : napari.Viewer or napari.components.ViewerModel
        Where cases are opened.
    session, desks, runs, saving
        Of the session.
    ahead : CaseAhead
        Prepares the next case.
    told : callable
        Does something and shows an expected error as a sentence.

    Attributes
    ----------
    state : WorklistState
        The cases, and which is open.
    """

    def __init__(
        self,
        viewer: Any,
        session: SessionState,
        desks: Desks,
        runs: Runs,
        saving: Saving,
        ahead: CaseAhead,
        told: Callable[[Callable[[], object]], None],
    ) -> None:
        self.state = WorklistState()
        self._viewer, self._session, self._desks = viewer, session, desks
        self._runs, self._saving = runs, saving
        self._ahead, self._told = ahead, told
        self._layers: list[Layer] = []
        self._claim: KeptClaim | None = None
        self._saved_as: Any = None
        self._as_left: Any = None
        self._tried = -1
        for name in ("segmentation", "sizes", "undoable"):
            getattr(session.events, name).connect(self._on_change)

    def open(self, path: str | Path) -> None:
        """List the cases of a folder or list, and open the first that is not done.

        Raises
        ------
        MedSAMLiteError
            If a run is in progress.
        """
        path = Path(path)
        self._leave(
            lambda: self._runs.start(
                ListTask(path, self._session, lambda rows: self._on_listed(path, rows))
            )
        )

    def close(self) -> None:
        """Let others have the case that is open; its layers stay."""
        self._ahead.stop()
        row = self.state.row
        self._as_left = None if row is None else row.case.stamp
        self._tried = self.state.current
        self._end_claim()

    def resume(self) -> None:
        """After `close`, go on with the case that was open, unless a colleague did meanwhile."""
        row = self.state.row
        if row is None or self.state.colleague:
            return
        with suppress(MedSAMLiteError):  # a folder that is gone: nothing is saved
            claim = row.case.claim()
            if isinstance(claim, Claim) and row.case.stamp == self._as_left:
                self._claim = KeptClaim(claim)
                self._ahead.start(self.state)
                return
            if isinstance(claim, Claim):
                claim.release()
        self.state.colleague = CHANGED

    def go_to(self, index: int) -> None:
        """Open the case of a row, once the labels of the one that is open are saved.

        Raises
        ------
        MedSAMLiteError
            If there is no such row, or a run is in progress.
        """
        if not 0 <= index < len(self.state.rows):
            raise MedSAMLiteError(
                "There is no further case." if self.state.rows else "Open a worklist first."
            )
        if index != self.state.current:
            self._leave(lambda: self._read(index))

    def step(self, by: int) -> None:
        """Open the next case (1) or the one before (-1); errors as `go_to`."""
        self.go_to(self._tried + by)

    def mark(self, standing: Standing) -> None:
        """Save the case that is open, say how far it is, and open the next that is not done.

        Raises
        ------
        MedSAMLiteError
            If no case is open, a colleague has it, or a run is in progress.
        """
        case = self._own().case
        first = standing == "done" and not case.case_file.exists()
        self._leave(lambda: self._marked(case, standing), always=first)

    def note(self, text: str) -> None:
        """Write a note on the case that is open; errors as `mark`."""
        row = self._own()
        if text != row.status.note:
            self._write(row.case, row.status.standing, text)

    def _own(self) -> WorkRow:
        row = self.state.row
        if row is None:
            raise MedSAMLiteError("No case is open: open a worklist, and choose one.")
        if self._claim is None:
            raise MedSAMLiteError(f"{self.state.colleague} {NOT_SAVED}")
        return row

    def _leave(self, then: Callable[[], object], *, always: bool = False) -> None:
        """Save what was changed and do `then`; if it cannot be saved, all stays as it is."""
        self._runs.live.stop()
        if self._session.busy:
            raise MedSAMLiteError(IN_PROGRESS)
        row, image = self.state.row, self._image
        if row is None or image is None or self._claim is None:
            then()
            return
        self._session.image = image  # another one may have been chosen meanwhile
        if not always and self._saved_as == self._now():
            then()
            return

        def saved(well: bool) -> None:
            if well:
                self._saved_as = self._now()
                self._told(then)

        self._saving.save(row.case.labels, empty=True, ended=saved)

    def _read(self, index: int) -> None:
        case = self.state.rows[index].case
        self._tried = index  # the next step leads on from a case that cannot be opened
        found = self._ahead.take(case)
        self._runs.start(
            OpenTask(
                case,
                found,
                self._session,
                lambda opened: self._on_opened(index, *opened),
                lambda: self._ahead.start(self.state),
            )
        )

    def _on_listed(self, path: Path, rows: list[WorkRow]) -> None:
        self._ahead.stop()
        self._let_go()
        self.state.title, self.state.rows = path.name, tuple(rows)
        self._tried = -1
        self._go_on()

    def _go_on(self) -> None:
        """Open the next case that is new or begun and free; after the last comes the first."""
        rows, start = self.state.rows, self._tried + 1
        order = [*range(start, len(rows)), *range(min(start, len(rows)))]
        free = [
            index
            for index in order
            if rows[index].status.standing in ("new", "begun")
            and (rows[index].holder is None or index == self.state.current)
        ]
        if free and free[0] != self.state.current:
            self._told(lambda: self._read(free[0]))
        elif not free:
            self._session.tell(ALL_DONE if count_of(rows) == len(rows) else NONE_FREE)

    def _on_opened(self, index: int, opened: OpenedCase, claim: Claim | str) -> None:
        """Show the case in place of the one before."""
        self._let_go()
        self._clear()
        added = [Layer.create(*layer) for layer in opened.layers]
        for layer in added:
            self._viewer.add_layer(layer)
        self._session.image = added[0]
        self._desks.adopt(added[0])
        self._session.on_disk = True  # else what was prepared is not found
        self._layers, self._saved_as = added, self._now()
        self._claim = KeptClaim(claim) if isinstance(claim, Claim) else None
        self.state.colleague = claim if isinstance(claim, str) else ""
        self.state.put(WorkRow.of(opened.case))
        self.state.current = index
        words = [f"{opened.case.name} is open.", *opened.notes]
        if self.state.colleague:
            words += [self.state.colleague, NOT_SAVED]
        self._session.tell(" ".join(words), problem=bool(self.state.colleague))
        self._ahead.start(self.state)

    def _clear(self) -> None:
        """Remove all that belongs to the case before: what was opened, and what was made on it."""
        image = self._image
        if image is None:
            marks = set()
        else:
            marks = {held_by(image).get(FINGERPRINT), *map(id, self._desks.layers.known(image))}
        for layer in list(self._viewer.layers):
            if layer in self._layers or held_by(layer).get(FINGERPRINT) in marks:
                self._viewer.layers.remove(layer)
        self._layers.clear()

    @property
    def _image(self) -> Layer | None:
        """The image of the case that is open, if it is still there."""
        found = self._layers[0] if self._layers else None
        return found if found in self._viewer.layers else None

    def _marked(self, case: WorkCase, standing: Standing) -> None:
        self._write(case, standing)
        self._go_on()

    def _write(self, case: WorkCase, standing: Standing, note: str | None = None) -> None:
        case.mark(standing, note)
        self.state.put(WorkRow.of(case))

    def _let_go(self) -> None:
        """The case that is open is anybody's again."""
        row = self.state.row
        self.state.current = -1
        self._end_claim()
        if row is not None:
            self.state.put(WorkRow.of(row.case))

    def _end_claim(self) -> None:
        claim, self._claim = self._claim, None
        if claim is not None:
            claim.end()

    def _on_change(self, *_: object) -> None:
        """A person did something: at the first change, the case is begun."""
        row = self.state.row
        mine = self._claim is not None and self._session.image == self._image
        if row is None or not mine or self._saved_as == self._now():
            return
        if row.status.standing in ("new", "done"):
            self._told(lambda: self._write(row.case, "begun"))

    def _now(self) -> Any:
        """What is another whenever something to be saved was changed."""
        session = self._session
        segments = [
            replace(each, visible=True, locked=False) for each in session.segmentation.segments
        ]
        return segments, dict(session.sizes), session.undoable
