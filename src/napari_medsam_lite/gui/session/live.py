"""Live answers: a box that is drawn, moved or deleted has its mask follow at once.

The newest wins: what is asked while an answer is on its way takes its place, and an answer that is
late is dropped by the runner, which knows it by its number.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_medsam_lite.core.asked import Asked
from napari_medsam_lite.core.boxes import Box2D, Box3D
from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.gui.session.desk import Desk
from napari_medsam_lite.gui.session.edit import Edit
from napari_medsam_lite.gui.session.engine import SessionEngine
from napari_medsam_lite.gui.session.request import Request, in_volume
from napari_medsam_lite.gui.session.run_report import InUse, told_withheld
from napari_medsam_lite.gui.session.seen import unseen
from napari_medsam_lite.gui.session.segment_task import Doing
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.gui.session.writing import MaskWriter
from napari_medsam_lite.gui.thread.runner import JobRunner
from napari_medsam_lite.gui.thread.task import Ending, Task
from napari_medsam_lite.gui.thread.worker import post
from napari_medsam_lite.gui.viewer.box_layer import Boxes, DrawnBox, drawn_boxes

if TYPE_CHECKING:
    from napari_medsam_lite.engine.propagation.slice_mask import SliceMask

Wanted = dict[tuple[int, int], list[Box2D]]
"""(number of a segment, slice) -> the boxes that it has there; none if its mask is to go."""


class LiveTask(Task):
    """Answers what was changed by one edit, into the labels of its desk.

    Parameters
    ----------
    request : Request
        All choices; its boxes do not count.
    wanted : dict
        What to answer.
    desk, edit
        Where the masks go, and the edit that they belong to.
    ended : callable
        Is told the end, and the last word.
    """

    def __init__(
        self,
        request: Request,
        wanted: Wanted,
        desk: Desk,
        edit: Edit,
        engine: SessionEngine,
        state: SessionState,
        ended: Callable[[LiveTask, Ending, str], None],
    ) -> None:
        self.request, self.wanted, self.desk, self.edit = request, wanted, desk, edit
        self._engine, self._state, self._ended = engine, state, ended
        self._asked = [(pair, boxes) for pair, boxes in wanted.items() if boxes]
        self._numbers = [number for (number, _), boxes in self._asked for _ in boxes]
        self._clock = time.perf_counter()
        settings = request.settings
        gone = [pair for pair, boxes in wanted.items() if not boxes]
        numbers = self._numbers or [number for number, _ in gone]
        self._writer = MaskWriter(
            desk,
            settings.axis,
            numbers,
            settings.overlap,
            request.keep_painted,
            request.snapshot.leading,
        )
        for number, index in gone:
            self._writer.erase(number, index)
        self._scores: list[float] = []
        self._in_use: InUse | None = None
        self._unseen = ""

    @property
    def is_blind(self) -> bool:
        """Whether what is boxed lies outside the window."""
        return bool(self._unseen)

    @property
    def is_only_erasing(self) -> bool:
        """Whether there is nothing to ask."""
        return not self._asked

    def work(self) -> Iterator[Doing | InUse | SliceMask]:
        """Ask the network, slice by slice."""
        settings = self.request.settings
        segmenter = self._engine.load(settings, lambda text: post(Doing(text)), len(self._numbers))
        yield InUse.of(segmenter.load())
        prepared = self._engine.prepare(self.request.snapshot, settings)
        there = [(index, box) for (_, index), boxes in self._asked for box in boxes]
        self._unseen, first = unseen(prepared, there), 0
        for (_, index), boxes in self._asked:
            for item in segmenter.segment_slice(prepared, index, boxes, settings.detail):
                yield replace(item, object=item.object + first)
            first += len(boxes)

    def on_items(self, items: list[Any]) -> None:
        """Paint, or tell what takes long.

        Raises
        ------
        MedSAMLiteError
            If the labels were replaced meanwhile.
        """
        for item in items:
            if isinstance(item, Doing):
                self._state.tell(item.text)
            elif isinstance(item, InUse):
                self._state.in_use, self._in_use = item.text, item
            else:
                record = self._writer.paint(item)
                if item.area:
                    self._scores.append(record.score)

    def on_ended(self, ending: Ending) -> None:
        """Keep what was painted with the edit, show it, and tell."""
        if self._writer.is_current:
            self._keep(ending)
        self._ended(self, ending, self._sentence(ending))

    def _keep(self, ending: Ending) -> None:
        """Add what was written to the edit, and show it."""
        if self._writer.has_written:
            whole = ending.how == "finished"
            self._writer.keep_with(self.edit, self._what_was_asked(), whole, thumbnail=False)

    def _what_was_asked(self) -> Asked:
        settings, used = self.request.settings, self._in_use
        boxes = tuple(
            Box3D.from_plane(box, settings.axis, index, index, key=index)
            for (_, index), found in self._asked
            for box in found
        )
        if used is None:
            return Asked("live", settings, boxes, tuple(self._numbers))
        settings = replace(settings, preset=used.preset, device=used.target)
        numbers, weights = tuple(self._numbers), used.checkpoint_sha256
        return Asked("live", settings, boxes, numbers, checkpoint_sha256=weights)

    def interrupt(self) -> None:
        """Cut the encoding in flight short."""
        self._engine.interrupt()

    def _sentence(self, ending: Ending) -> str:
        if ending.how == "failed":
            return ending.reason
        if self.is_only_erasing:
            return "The mask of the box was taken away."
        if not self._scores and not self._unseen:
            return "Nothing was found in the box; draw it a little larger, or check the window."
        (number, index), _ = self._asked[-1]
        segment = self.desk.segmentation.get(number)
        title = segment.title if segment is not None else f"Segment {number}"
        seconds = time.perf_counter() - self._clock
        score = f"score {min(self._scores):.2f}" if self._scores else "nothing was found"
        told = f"{title}, slice {index}: {score}, {seconds:.2f} s."
        kept = told_withheld(self._writer.withheld, self.request.settings.overlap)
        return " ".join(filter(None, (self._unseen, told, kept)))


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
        self._wanted: Wanted = {}
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
        self._latest = desk, edit, request
        self._wanted |= wanted_by(desk, edit, request.settings.axis)
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
                request, wanted, desk, edit, self._engine, self._state, self._on_ended
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
        self._wanted, self._latest = {}, None

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
        self._state.tell(last_word, problem=ending.how == "failed" or task.is_blind)
        self._done(task)
        self.go()


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
