"""The Labels layer of a desk: its volumes, their figures, and the person who paints in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray

from napari_medsam_lite.engine.painting import room_for
from napari_medsam_lite.engine.steps import LabelArray, planes_across, step_to
from napari_medsam_lite.engine.tally import Tally
from napari_medsam_lite.gui.session.edit import Written
from napari_medsam_lite.gui.viewer.brush import Brush
from napari_medsam_lite.gui.viewer.geometry import transform
from napari_medsam_lite.gui.viewer.label_layer import highest_label

MM3_PER_ML = 1000.0


class DeskLabels:
    """What masks are written into, volume by volume.

    Parameters
    ----------
    layer : Labels
        Listened to until `close`.
    leading : tuple of int
        The volume looked at, of a layer of more than three dimensions.
    locked : callable
        The labels that nobody may change.
    counted : callable
        Is told when figures have changed.
    replaced : callable
        Is told when the layer has another array.
    """

    def __init__(
        self,
        layer: Labels,
        leading: tuple[int, ...],
        locked: Callable[[], frozenset[int]],
        counted: Callable[[], None],
        replaced: Callable[[], None],
    ) -> None:
        self.layer, self.leading = layer, leading
        self._fresh: set[tuple[int, ...]] = set()
        self.brush = Brush(layer, locked, self.recount)
        self._given = _nonzero(layer) if highest_label(layer) else None
        self._counted, self._replaced = counted, replaced
        self._tally = Tally(self.volume(leading))
        self._widening = False
        layer.events.data.connect(self._on_data)

    def close(self) -> None:
        """Listen no more."""
        self.brush.close()
        self.layer.events.data.disconnect(self._on_data)

    def volume(self, leading: tuple[int, ...]) -> LabelArray:
        """One volume's labels: a view."""
        data: LabelArray = np.asarray(self.layer.data)
        volume: LabelArray = data[leading]
        return volume

    def volumes(self) -> Iterable[tuple[int, ...]]:
        """The place of each volume."""
        return np.ndindex(self.layer.data.shape[: max(self.layer.ndim - 3, 0)])

    def held(self, leading: tuple[int, ...]) -> NDArray[np.bool_] | None:
        """The voxels of a volume that a person painted; None if there are none."""
        held = self.brush.held
        return None if held is None else held[leading]

    def not_computed(self, leading: tuple[int, ...]) -> NDArray[np.bool_] | None:
        """(Z, Y, X) bool: what a person painted in a volume, or what was there from the start."""
        held, given = self.held(leading), self._given
        if given is not None:
            found = np.unpackbits(given[leading], axis=-1, count=self.layer.data.shape[-1])
            there = found.astype(bool)
            held = there if held is None else there | held
        return held if held is None or held.ndim == 3 else held[np.newaxis]

    def know_as_computed(self) -> None:
        """What was there from the start was asked of the network too, and it is known how."""
        self._given = None

    def holds(self, number: int) -> bool:
        """Whether a voxel of any volume bears the label."""
        volumes = (self.volume(leading) for leading in self.volumes())
        planes = (plane for volume in volumes for plane in planes_across(volume, 0))
        return any(bool((plane == number).any()) for plane in planes)

    def turn_to(self, leading: tuple[int, ...]) -> None:
        """Look at another volume."""
        if leading != self.leading:
            self.leading = leading
            self._tally = Tally(self.volume(leading))
            self._counted()

    def make_room(self, numbers: list[int]) -> None:
        """Widen the array's type if `numbers` need that.

        Raises
        ------
        MedSAMLiteError
            If a number is too high for a Labels layer of 16 bits.
        """
        roomy = room_for(self.layer.data, numbers)
        if roomy is not self.layer.data:
            self._widening = True
            try:
                self.layer.data = roomy
            finally:
                self._widening = False
            self._tally = Tally(self.volume(self.leading))

    def size_of(self, number: int) -> tuple[int, float]:
        """Slices and millilitres of a segment's mask in the volume looked at."""
        per_voxel = abs(float(np.linalg.det(transform(self.layer)[0][-3:, -3:])))
        return self._tally.slices(number), self._tally.voxels(number) * per_voxel / MM3_PER_ML

    def recount(self, indices: Iterable[int]) -> None:
        """Voxels on these slices across the first axis were changed by a person."""
        for leading in self.volumes():  # the stroke's, which may not be the one looked at
            self.note(leading, indices)
        self._tally.recount(indices)
        self._counted()

    def note(self, leading: tuple[int, ...], indices: Iterable[int]) -> None:
        """Slices across the first axis of a volume have changed; `take_fresh` tells of them."""
        flat = self.layer.ndim == 2
        self._fresh.update(() if flat else (*leading, int(index)) for index in indices)

    def take_fresh(self) -> set[tuple[int, ...]]:
        """The slices that have changed since the last call, each behind its volume's place."""
        for leading in self.volumes():
            self.note(leading, self.brush.drawn_on)
        fresh, self._fresh = self._fresh, set()
        return fresh

    def put(self, volumes: Mapping[tuple[int, ...], LabelArray]) -> list[Written]:
        """Put other labels into volumes, each of the shape of one; what changed is shown."""
        self.make_room([max(1, *(int(labels.max(initial=0)) for labels in volumes.values()))])
        written = []
        for leading, labels in volumes.items():
            volume = self.volume(leading)
            written.append(Written(step_to(labels.reshape(volume.shape), volume), leading))
        self.show(written)
        return written

    def show(self, written: Iterable[Written], thumbnail: bool = True) -> None:
        """Voxels were written, or put back: count and draw them."""
        found: set[int] = set()
        for part in written:
            slices = part.step.first_axis()
            self.note(part.leading, slices)
            if part.leading == self.leading:
                found |= slices
        self._tally.recount(sorted(found))
        self._counted()
        self.layer.refresh(extent=False, thumbnail=thumbnail)

    def _on_data(self, _: Any) -> None:
        if not self._widening:
            self._replaced()


def _nonzero(layer: Labels) -> NDArray[np.uint8]:
    """Where a layer has labels, a bit a voxel along the last axis; slice by slice, for memory."""
    data = layer.data.reshape(-1, *layer.data.shape[-2:])
    packed = np.stack([np.packbits(plane != 0, axis=-1) for plane in data])
    return packed.reshape(*layer.data.shape[:-1], -1)
