"""Live answers: a box that is drawn, moved or deleted has its mask follow at once.

The newest wins: what is asked while an answer is on its way takes its place, and an answer that is
late is dropped by the runner, which knows it by its number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.gui.session.desk import Desk
from napari_medsam_lite.gui.session.edit import Edit
from napari_medsam_lite.gui.session.engine import SessionEngine
from napari_medsam_lite.gui.session.live_task import LiveTask, Wanted
from napari_medsam_lite.gui.session.preview import Preview
from napari_medsam_lite.gui.session.request import Request, in_volume
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.gui.thread.runner import JobRunner
from napari_medsam_lite.gui.thread.task import Ending
from napari_medsam_lite.gui.viewer.box_layer import Boxes
from napari_medsam_lite.gui.viewer.drawn_boxes import DrawnBox, drawn_boxes


class Live:
    """Decides when boxes are answered.

    Parameters
    ----------
    state, engine, runner
        Of the session.
    ask : callable
        The choices as they are now, and the axis shown, or None where the viewer shows no slices
        of the desk's image.
    ready : callable
        Sees to it that the desk has a Labels layer.
    done : callable
        Is told each task that has finished.
    """

    def __init__(
        self,
        state: SessionState,
        engine: SessionEngine,
        runner: JobRunner,
        ask: Callable[[Desk], Request | None],
        ready: Callable[[Desk], None],
        done: Callable[[LiveTask], None],
    ) -> None:
        self._state, self._engine, self._runner = state, engine, runner
        self._ask, self._ready, self._done = ask, ready, done
        self._task: LiveTask | None = None
        self._preview, self._moving = Preview(), False
        self._wanted: Wanted = {}
        self._on_the_way: set[tuple[int, int]] = set()
        self._latest: tuple[Desk, Edit, Request] | None = None

    def on_drawn(self, desk: Desk, edit: Edit, moving: bool) -> None:
        """A person changed boxes, or is `moving` one: ask for the masks of those that were."""
        if not self._state.live or desk.boxes is None:
            return
        request = self._ask(desk)
        if request is None:
            return
        if self._latest is not None and not _same_place(self._latest, (desk, edit, request)):
            self.stop()
        self._latest, self._moving = (desk, edit, request), moving
        self._wanted |= wanted_by(desk, edit, request.settings.axis)
        if moving:
            self._on_the_way |= set(self._wanted)
        else:
            self._wanted |= self._moved_back(desk, edit, request.settings.axis)
        # While it moves, an answer to where it was a moment ago is shown, or none would ever be.
        if not (moving and self.waits):
            self.go()

    def go(self) -> None:
        """Answer what is wanted, unless a run is in flight: then after it."""
        if self._latest is None or not self._wanted or self._state.busy:
            return
        # As it was asked, for the viewer may show another image, volume or axis by now.
        desk, edit, request = self._latest
        self._cancel()
        wanted = _allowed(self._wanted, desk)
        if not wanted:
            self._wanted = {}
            self._state.tell("What this box belongs to is locked, so its mask stays as it is.")
            return
        try:
            if any(wanted.values()):
                self._runner.check_free()  # before the labels are touched
            self._ready(desk)
            self._task = task = LiveTask(
                request,
                wanted,
                desk,
                edit,
                self._engine,
                self._state,
                self._preview,
                self._moving,
                self._on_ended,
            )
            if task.is_only_erasing:
                self._wanted = {}
                task.on_ended(Ending("finished"))
            else:
                self._runner.start(task)
                self._wanted = {}
        except MedSAMLiteError as error:
            self._task = None
            self._state.tell(str(error), problem=True)

    def stop(self) -> None:
        """Drop what is wanted and what is on its way."""
        self._cancel()
        self._preview.clear(redraw=True)
        self._wanted, self._latest, self._on_the_way = {}, None, set()

    def take_rough_back(self) -> None:
        """The labels are about to be read: of a box that moves, its last right mask counts."""
        self._preview.clear(redraw=True)

    @property
    def waits(self) -> bool:
        """Whether an answer is on its way."""
        return self._task is not None

    def concerns(self, layer: Any) -> bool:
        """Whether what is wanted or on its way needs `layer`."""
        desk = None if self._latest is None else self._latest[0]
        return desk is not None and layer in (desk.image, desk.labels, desk.boxes)

    def _cancel(self) -> None:
        """Drop the answer on its way; what it was asked is wanted again."""
        task, self._task = self._task, None
        if task is not None:
            self._wanted = task.wanted | self._wanted
            self._runner.cancel(task)

    def _on_ended(self, task: LiveTask, ending: Ending, last_word: str) -> None:
        if task is not self._task:
            # Another has taken its place, perhaps while this one's end was waiting to be told.
            return
        self._task = None
        if not task.is_rough:
            self._state.tell(last_word, problem=ending.how == "failed" or task.is_blind)
            self._done(task)
        self.go()

    def _moved_back(self, desk: Desk, edit: Edit, axis: int) -> Wanted:
        """What was answered while a box was moved to where it is as it was before."""
        there, places = _by_place(desk, edit.boxes[1], axis), self._on_the_way
        self._on_the_way = set()
        return {place: there[place] for place in (places & there.keys()) - self._wanted.keys()}


def wanted_by(desk: Desk, edit: Edit, axis: int) -> Wanted:
    """What an edit of boxes asks for: the segments and slices whose boxes are others now."""
    before, after = (_by_place(desk, boxes, axis) for boxes in edit.boxes)
    changed = [place for place in {**before, **after} if before.get(place) != after.get(place)]
    wanted = {place: after.get(place, []) for place in changed}
    was, left = (set() if boxes is None else boxes.numbers for boxes in edit.boxes)
    for number in was - left:
        # The last box of a segment takes all that the network painted of it away.
        segment = desk.segmentation.get(number)
        places = segment.records if segment is not None else {}
        wanted |= {(number, index): [] for a, index in places if a == axis}
    return wanted


def _by_place(desk: Desk, boxes: Boxes | None, axis: int) -> Wanted:
    found: Wanted = {}
    if boxes is None or desk.boxes is None:
        return found
    for drawn in drawn_boxes(desk.boxes, desk.image, axis, boxes, desk.leading):
        if drawn.has_area and _lies_inside(drawn, desk, axis):
            found.setdefault((drawn.number, drawn.index), []).append(drawn.box)
    return found


def _lies_inside(drawn: DrawnBox, desk: Desk, axis: int) -> bool:
    try:
        in_volume(drawn, desk.image, axis, (drawn.index, drawn.index))
    except MedSAMLiteError:
        return False  # a run says why
    return True


def _same_place(one: tuple[Desk, Edit, Request], other: tuple[Desk, Edit, Request]) -> bool:
    """Whether both ask about slices across the same axis of the same volume."""
    (desk, _, first), (other_desk, _, second) = one, other
    return (
        desk is other_desk
        and first.settings.axis == second.settings.axis
        and first.snapshot.leading == second.snapshot.leading
    )


def _allowed(wanted: Wanted, desk: Desk) -> Wanted:
    """What may be changed: nothing of segments that are locked, or gone."""
    free = {each.number for each in desk.segmentation.segments if not each.locked}
    return {place: boxes for place, boxes in wanted.items() if place[0] in free}
