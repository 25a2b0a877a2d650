"""Masks on their way into a desk's labels, by the rules that protect what is there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from napari_medsam_lite.core.asked import Asked, Pair, followed
from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.core.segmentation import Place, Segmentation, SliceRecord
from napari_medsam_lite.core.settings import Overlap
from napari_medsam_lite.engine.painting import LabelPainter
from napari_medsam_lite.engine.propagation.slice_mask import SliceMask
from napari_medsam_lite.engine.steps import Step
from napari_medsam_lite.gui.session.desk import Desk
from napari_medsam_lite.gui.session.edit import Edit, Written


class MaskWriter:
    """Writes the masks of one task, and keeps what undo and the segments need to know.

    Parameters
    ----------
    desk : Desk
        With a Labels layer; its type is widened now if the numbers need that.
    axis : int
        That the slices lie across.
    numbers : list of int
        The segment of each of the task's objects.
    overlap : str
        See `core.settings.Overlap`.
    keep_painted : bool
        Whether voxels that a person painted stay.
    leading : tuple of int
        The volume, of an image of more than three dimensions.

    Raises
    ------
    MedSAMLiteError
        If a number is too high for a Labels layer of 16 bits.
    """

    def __init__(
        self,
        desk: Desk,
        axis: int,
        numbers: list[int],
        overlap: Overlap,
        keep_painted: bool,
        leading: tuple[int, ...],
    ) -> None:
        assert desk.masks is not None
        self.desk, self.axis, self._numbers = desk, axis, numbers
        self._masks, self._keep_painted = desk.masks, keep_painted
        self._masks.make_room(numbers)
        self._array = self._masks.layer.data
        self._leading = leading
        volume = self._masks.volume(self._leading)
        self._step = Step(axis, volume.shape)
        self._painter = LabelPainter(volume, axis, numbers, overlap, self._step)
        self._records: dict[int, dict[Place, SliceRecord | None]] = {}
        self._painted: list[Pair] = []
        self._erased: list[Pair] = []
        self._left_out = False

    @property
    def is_current(self) -> bool:
        """Whether the labels are still the array that the task began with."""
        return self.desk.masks is self._masks and self._masks.layer.data is self._array

    @property
    def has_written(self) -> bool:
        """Whether any voxel was changed."""
        return bool(self._step.changes)

    @property
    def withheld(self) -> int:
        """Voxels of masks that stayed as they were."""
        return sum(self._painter.withheld.values())

    def paint(self, item: SliceMask) -> SliceRecord:
        """Write one mask, if its segment is there and not locked; returns what is known of it.

        Raises
        ------
        MedSAMLiteError
            If the labels are not the array any more that the task began with.
        """
        if not self.is_current:
            raise MedSAMLiteError(
                f"The labels of {self._masks.layer.name} were replaced, so the run was stopped."
            )
        number = self._numbers[item.object]
        record = item.record(number)
        segment = self.desk.segmentation.get(number)
        if segment is not None and not segment.locked:
            self._protect()
            self._painter.paint(item)
            self._masks.note(self._leading, self._step.first_axis([item.index]))
            self._painted.append((number, item.index))
            self._note(number, item.index, record if item.area else None)
        else:
            self._left_out = True
        return record

    def erase(self, number: int, index: int) -> None:
        """Remove what the network painted of a segment on a slice."""
        self._protect()
        self._painter.erase(number, index)
        self._masks.note(self._leading, self._step.first_axis([index]))
        self._erased.append((number, index))
        self._records.setdefault(number, {})[self.axis, index] = None

    def take_back(self) -> None:
        """Leave the voxels as they were before; what was changed by hand since stays."""
        self._step.revert(self._masks.volume(self._leading))
        self._masks.note(self._leading, self._step.first_axis())

    def keep_with(
        self, edit: Edit, asked: Asked, whole: bool = True, thumbnail: bool = True
    ) -> None:
        """Make what was written a part of `edit`, and show it.

        Parameters
        ----------
        edit : Edit
            Where undo finds it.
        asked : Asked
            What made it; where it was painted and erased is added here.
        whole : bool
            Whether the task came to its end.
        thumbnail : bool
            Whether napari's list shows it at once too.
        """
        asked = self._as_done(asked, whole)
        written = Written(self._step, self._leading)
        edit.written.append(written)
        self.desk.learn(edit, lambda segmentation: self._noted(segmentation, asked))
        self._masks.show([written], thumbnail)

    def _protect(self) -> None:
        """A person may have painted, or locked a segment, since the last mask."""
        held = self._masks.held(self._leading) if self._keep_painted else None
        self._painter.protect(held, self.desk.segmentation.locked)

    def so_far(self, segmentation: Segmentation, asked: Asked) -> Segmentation:
        """`segmentation` as it would be if the task ended now."""
        if not self.is_current or not self.has_written:
            return segmentation
        return self._noted(segmentation, self._as_done(asked, whole=False))

    def _as_done(self, asked: Asked, whole: bool) -> Asked:
        """`asked` with where it was painted and erased."""
        return replace(
            asked,
            locked=self.desk.segmentation.locked,
            erased=() if asked.kind == "deletion" else tuple(self._erased),
            only=None if whole and not self._left_out else tuple(self._painted),
            leading=self._leading,
        )

    def _noted(self, segmentation: Segmentation, asked: Asked) -> Segmentation:
        """`segmentation` with what is known of the masks that were written."""
        for number, found in self._records.items():
            segment = segmentation.get(number)
            if segment is not None:
                merged = {**segment.records, **found}
                records = {place: r for place, r in merged.items() if r is not None}
                segmentation = segmentation.put(replace(segment, records=records))
        return replace(segmentation, asked=followed(segmentation.asked, asked))

    def redraw(self) -> None:
        """Show what was written, while more is to come."""
        self._masks.layer.refresh(extent=False, thumbnail=False)

    def _note(self, number: int, index: int, record: SliceRecord | None) -> None:
        place = self.axis, index
        known = self._records.setdefault(number, {})
        before = known.get(place)
        both = [each for each in (before, record) if each is not None]
        # Of several parts, the worst counts.
        known[place] = min(both, key=lambda each: each.score, default=None)


def painted_on(
    segmentation: Segmentation, numbers: Iterable[int], axis: int
) -> dict[int, frozenset[int]]:
    """Number -> the slices across `axis` that the segment has a mask of the network on."""
    found = {}
    for number in numbers:
        segment = segmentation.get(number)
        places = segment.records if segment is not None else {}
        found[number] = frozenset(index for a, index in places if a == axis)
    return found
