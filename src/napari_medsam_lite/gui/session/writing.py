"""Masks on their way into a desk's labels, by the rules that protect what is there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.core.segmentation import Place, Segmentation, SliceRecord
from napari_medsam_lite.core.settings import Overlap
from napari_medsam_lite.engine.painting import LabelPainter, Step
from napari_medsam_lite.engine.propagation.slice_mask import SliceMask
from napari_medsam_lite.gui.session.desk import Desk


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

    Raises
    ------
    MedSAMLiteError
        If a number is too high for a Labels layer of 16 bits.
    """

    def __init__(
        self, desk: Desk, axis: int, numbers: list[int], overlap: Overlap, keep_painted: bool
    ) -> None:
        assert desk.labels is not None
        self.desk, self.axis, self._numbers = desk, axis, numbers
        self._layer = desk.labels
        volume = desk.array(numbers)
        self._array = desk.labels.data
        self.step = Step(axis, volume.shape)
        held = desk.held() if keep_painted else None
        self._painter = LabelPainter(
            volume, axis, numbers, overlap, self.step, held, desk.segmentation.locked
        )
        self._records: dict[int, dict[Place, SliceRecord | None]] = {}

    @property
    def is_current(self) -> bool:
        """Whether the labels are still the array that the task began with."""
        return self.desk.labels == self._layer and self._layer.data is self._array

    @property
    def withheld(self) -> int:
        """Voxels of masks that stayed as they were."""
        return sum(self._painter.withheld.values())

    def paint(self, item: SliceMask) -> SliceRecord:
        """Write one mask, and return what is known of it.

        Raises
        ------
        MedSAMLiteError
            If the labels are not the array any more that the task began with.
        """
        if not self.is_current:
            raise MedSAMLiteError(
                f"The labels of {self._layer.name} were replaced, so the run was stopped."
            )
        self._painter.paint(item)
        number = self._numbers[item.object]
        record = item.record(number)
        self._note(number, item.index, record if item.area else None)
        return record

    def erase(self, number: int, index: int) -> None:
        """Remove what the network painted of a segment on a slice."""
        self._painter.erase(number, index)
        self._records.setdefault(number, {})[self.axis, index] = None

    def noted(self, segmentation: Segmentation) -> Segmentation:
        """`segmentation` with what is known of the masks that were written."""
        for number, found in self._records.items():
            segment = segmentation.get(number)
            if segment is not None:
                merged = {**segment.records, **found}
                records = {place: r for place, r in merged.items() if r is not None}
                segmentation = segmentation.put(replace(segment, records=records))
        return segmentation

    def redraw(self, thumbnail: bool = True) -> None:
        """Show what was written."""
        self._layer.refresh(extent=False, thumbnail=thumbnail)

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
