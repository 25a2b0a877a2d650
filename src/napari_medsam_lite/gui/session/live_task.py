"""One live answer: what was changed by one edit of boxes, asked of the network and painted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_medsam_lite.core.asked import Asked
from napari_medsam_lite.core.boxes import Box2D, Box3D
from napari_medsam_lite.gui.session.desk import Desk
from napari_medsam_lite.gui.session.edit import Edit
from napari_medsam_lite.gui.session.engine import SessionEngine
from napari_medsam_lite.gui.session.preview import Preview
from napari_medsam_lite.gui.session.request import Request
from napari_medsam_lite.gui.session.run_report import InUse, told_withheld
from napari_medsam_lite.gui.session.seen import unseen
from napari_medsam_lite.gui.session.segment_task import Doing
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.gui.session.writing import MaskWriter
from napari_medsam_lite.gui.thread.task import Ending, Task
from napari_medsam_lite.gui.thread.worker import post

if TYPE_CHECKING:
    from napari_medsam_lite.engine.prepared import PreparedVolume
    from napari_medsam_lite.engine.propagation.slice_mask import SliceMask
    from napari_medsam_lite.engine.segmenter import Segmenter

Wanted = dict[tuple[int, int], list[Box2D]]
"""(number of a segment, slice) -> the boxes that it has there; none if its mask is to go."""


@dataclass(frozen=True)
class Rough:
    """Masks to be shown until the right ones are there."""

    masks: list[SliceMask]


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
    preview : Preview
        Shows a rough answer meanwhile, where one is to be had at once.
    moving : bool
        Whether the mouse still moves the box: then a rough answer is enough.
    ended : callable
        Is told the end, and the last word.

    Attributes
    ----------
    is_rough : bool
        Whether the right answer was left out.
    """

    def __init__(
        self,
        request: Request,
        wanted: Wanted,
        desk: Desk,
        edit: Edit,
        engine: SessionEngine,
        state: SessionState,
        preview: Preview,
        moving: bool,
        ended: Callable[[LiveTask, Ending, str], None],
    ) -> None:
        self.request, self.wanted, self.desk, self.edit = request, wanted, desk, edit
        self._engine, self._state, self._ended = engine, state, ended
        self._preview, self._moving, self.is_rough = preview, moving, False
        self._asked = [(pair, boxes) for pair, boxes in wanted.items() if boxes]
        self._numbers = [number for (number, _), boxes in self._asked for _ in boxes]
        self._clock = time.perf_counter()
        gone = [pair for pair, boxes in wanted.items() if not boxes]
        self._painted = self._numbers or [number for number, _ in gone]
        self._writer = self._new_writer()
        self._has_gone = bool(gone)
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

    def work(self) -> Iterator[Doing | InUse | Rough | SliceMask]:
        """Ask the network, slice by slice."""
        settings = self.request.settings
        segmenter = self._engine.load(
            settings, self.request.snapshot, lambda text: post(Doing(text)), len(self._numbers)
        )
        yield InUse.of(segmenter.load())
        prepared = self._engine.prepare(self.request.snapshot, settings)
        there = [(index, box) for (_, index), boxes in self._asked for box in boxes]
        if rough := self._glance(segmenter, prepared):
            yield Rough(rough)
            if self._moving and not self._has_gone:
                self.is_rough = True
                return
        self._unseen, first = unseen(prepared, there), 0
        for (_, index), boxes in self._asked:
            for item in segmenter.segment_slice(prepared, index, boxes, settings.detail):
                yield replace(item, object=item.object + first)
            first += len(boxes)

    def _glance(self, segmenter: Segmenter, prepared: PreparedVolume) -> list[SliceMask]:
        """A rough answer, where the right one is not wanted yet or takes longer."""
        if len(self._asked) > 1:
            return []
        (((_, index), boxes),) = self._asked
        asked = prepared, index, boxes, self.request.settings.detail
        return [] if not self._moving and segmenter.is_encoded(*asked) else segmenter.glance(*asked)

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
            elif isinstance(item, Rough):
                self._preview.show(item.masks, self._new_writer())
            else:
                self._preview.clear()
                record = self._writer.paint(item)
                if item.area:
                    self._scores.append(record.score)

    def on_ended(self, ending: Ending) -> None:
        """Keep what was painted with the edit, show it, and tell."""
        if not self.is_rough:
            self._preview.clear(redraw=not self._writer.has_written)
        if self._writer.is_current:
            self._keep(ending)
        self._ended(self, ending, self._sentence(ending))

    def _keep(self, ending: Ending) -> None:
        """Add what was written to the edit, and show it."""
        if self._writer.has_written:
            whole = ending.how == "finished"
            self._writer.keep_with(self.edit, self._what_was_asked(), whole, thumbnail=False)

    def _new_writer(self) -> MaskWriter:
        request, settings = self.request, self.request.settings
        return MaskWriter(
            self.desk,
            settings.axis,
            self._painted,
            settings.overlap,
            request.keep_painted,
            request.snapshot.leading,
        )

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
