"""Masks written into a Labels layer by a stated overlap rule, every run with its way back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray

from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.gui.session.state import Overlap

UNDO_DEPTH = 50
HIGHEST_LABEL = int(np.iinfo(np.uint16).max)


@dataclass(frozen=True)
class _Edit:
    """A changed patch of one slice: values before and after, (h, w), in the layer's type."""

    axis: int
    index: int
    window: tuple[slice, slice]
    before: NDArray[Any]
    after: NDArray[Any]


@dataclass
class _Step:
    """All that one run wrote into one layer."""

    layer: Labels
    edits: list[_Edit] = field(default_factory=list)


class LabelPainter:
    """Writes masks into Labels layers and takes runs back, the latest first.

    What is kept for undo are the changed patches, not copies of the volume.
    """

    def __init__(self) -> None:
        self._steps: list[_Step] = []
        self._painted: dict[tuple[Labels, int, int], set[int]] = {}

    @property
    def depth(self) -> int:
        """How many runs can be taken back."""
        return sum(bool(step.edits) for step in self._steps)

    def begin(self, layer: Labels) -> None:
        """Start a new run into `layer`."""
        self._steps = [*(step for step in self._steps if step.edits)][-UNDO_DEPTH + 1 :]
        self._steps.append(_Step(layer))

    def paint(
        self,
        label: int,
        axis: int,
        index: int,
        window: tuple[slice, slice],
        patch: NDArray[np.bool_],
        overlap: Overlap,
    ) -> None:
        """Make `patch` the mask of `label` on one slice, instead of what the label had there.

        Parameters
        ----------
        label : int
            1 to 65535.
        axis, index : int
            The slice, across a data axis of the layer.
        window, patch
            Where in the slice, and the (h, w) bool mask there; the mask is empty elsewhere.
        overlap : str
            ``"keep"`` leaves voxels of other labels alone, ``"overwrite"`` takes them.

        Raises
        ------
        MedSAMLiteError
            If the label is too high for a Labels layer of 16 bits.
        """
        layer = self._steps[-1].layer
        _make_room(layer, label)
        self.erase(label, axis, index)
        under = _slice_of(layer, axis, index)[window]
        wins = patch if overlap == "overwrite" else patch & (under == 0)
        self._write(axis, index, window, np.where(wins, under.dtype.type(label), under))
        self._painted.setdefault((layer, label, axis), set()).add(index)

    def erase(self, label: int, axis: int, index: int) -> None:
        """Remove `label` from one slice."""
        mine = _slice_of(self._steps[-1].layer, axis, index) == label
        rows, columns = np.flatnonzero(mine.any(axis=1)), np.flatnonzero(mine.any(axis=0))
        if rows.size == 0:
            return
        window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        under = _slice_of(self._steps[-1].layer, axis, index)[window]
        self._write(axis, index, window, np.where(mine[window], under.dtype.type(0), under))

    def painted(self, layer: Labels, label: int, axis: int) -> frozenset[int]:
        """The slices across `axis` that runs have painted `label` on."""
        return frozenset(self._painted.get((layer, label, axis), ()))

    def undo(self) -> Labels | None:
        """Take the latest run back; returns its layer, or None if there was none.

        Voxels that were changed by hand since then keep that change.
        """
        while self._steps:
            step = self._steps.pop()
            for edit in reversed(step.edits):
                view = _slice_of(step.layer, edit.axis, edit.index)[edit.window]
                ours = (edit.before != edit.after) & (view == edit.after)
                view[ours] = edit.before[ours]
            if step.edits:
                return step.layer
        return None

    def forget(self, layer: Labels) -> None:
        """Drop what is kept for `layer`, which is gone."""
        self._steps = [step for step in self._steps if step.layer is not layer]
        self._painted = {key: done for key, done in self._painted.items() if key[0] is not layer}

    def _write(
        self, axis: int, index: int, window: tuple[slice, slice], after: NDArray[Any]
    ) -> None:
        step = self._steps[-1]
        view = _slice_of(step.layer, axis, index)[window]
        if not np.array_equal(view, after):
            step.edits.append(_Edit(axis, index, window, view.copy(), after))
            view[...] = after


def highest_label(layer: Labels) -> int:
    """The highest label in use in `layer`; 0 if it is empty."""
    return int(np.max(layer.data, initial=0))


def _slice_of(layer: Labels, axis: int, index: int) -> NDArray[Any]:
    """A writable view of one slice; a 2D layer is its own only slice."""
    data = layer.data
    plane: NDArray[Any] = data if data.ndim == 2 else np.moveaxis(data, axis, 0)[index]
    return plane


def _make_room(layer: Labels, label: int) -> None:
    """Give the layer a type that can hold `label`."""
    if label > HIGHEST_LABEL:
        raise MedSAMLiteError(f"Label {label} is too high; the highest is {HIGHEST_LABEL}.")
    if label > np.iinfo(layer.data.dtype).max:
        layer.data = layer.data.astype(np.uint16)
