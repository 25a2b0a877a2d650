"""What a person paints into a Labels layer with napari's own tools: it stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray
from qtpy.QtCore import QTimer

from napari_medsam_lite.engine.undo import next_serial

Index = tuple[NDArray[np.intp], ...]
MOST_STROKES = 100
"""That can be taken back: napari keeps as many."""


@dataclass(frozen=True, eq=False)
class Stroke:
    """One stroke: where, and when it was done, taken back or done again last."""

    index: Index
    serial: int


class Brush:
    """Keeps account of strokes, and takes them off segments that are locked.

    Parameters
    ----------
    layer : Labels
        Listened to until `close`.
    locked : callable
        The labels that nobody may change.
    changed : callable
        Is told the slices across the first axis that a stroke was on.
    """

    def __init__(
        self,
        layer: Labels,
        locked: Callable[[], frozenset[int]],
        changed: Callable[[NDArray[np.intp]], None],
    ) -> None:
        self._layer, self._locked, self._changed = layer, locked, changed
        self._done: list[Stroke] = []
        self._undone: list[Stroke] = []
        self._held: NDArray[np.bool_] | None = None
        self._for_good: NDArray[np.bool_] | None = None
        self._fresh: list[Any] = []
        layer.events.paint.connect(self._on_paint)

    def close(self) -> None:
        """Listen no more."""
        self._fresh.clear()
        self._layer.events.paint.disconnect(self._on_paint)

    @property
    def held(self) -> NDArray[np.bool_] | None:
        """The voxels that were painted, erased ones too; None if none was."""
        held = self._held
        return held if held is not None and held.shape == self._layer.data.shape else None

    @property
    def drawn_on(self) -> set[int]:
        """The slices of the stroke that is being drawn: napari tells of it when it is done."""
        atoms = getattr(self._layer, "_staged_history", ())
        return {int(z) for a in atoms for z in _slices(_opened(a)[0], self._layer.ndim)}

    @property
    def last_done(self) -> int:
        """When the latest stroke was done (see `next_serial`); 0 if there is none."""
        return self._done[-1].serial if self._done else 0

    @property
    def next_undone(self) -> int:
        """When a stroke was taken back last; 0 if there is none to repeat."""
        return self._undone[-1].serial if self._undone else 0

    def hold(self, painted: NDArray[np.bool_], leading: tuple[int, ...] = ()) -> None:
        """Know voxels of one volume as painted, from another session; for good."""
        if self._for_good is None:
            self._for_good = np.zeros(self._layer.data.shape, bool)
        self._for_good[leading] |= painted.reshape(self._for_good[leading].shape)
        self._mark()

    def undo(self) -> None:
        """Take the latest stroke back, as napari does; what is locked by now stays."""
        self._done_undone(self._done, self._undone, self._layer.undo)

    def redo(self) -> None:
        """Paint the stroke again that was taken back last; as `undo`."""
        self._done_undone(self._undone, self._done, self._layer.redo)

    def _done_undone(
        self, source: list[Stroke], goal: list[Stroke], move: Callable[[], None]
    ) -> None:
        stroke = source.pop()
        before = self._layer.data[stroke.index]
        move()
        after, locked = self._layer.data[stroke.index], list(self._locked())
        self._put_back(stroke.index, before, np.isin(before, locked) | np.isin(after, locked))
        goal.append(replace(stroke, serial=next_serial()))
        self._mark()
        self._changed(_slices(stroke.index, self._layer.ndim))

    def _put_back(self, index: Index, labels: NDArray[Any], where: NDArray[np.bool_]) -> None:
        if where.any():
            self._layer.data[tuple(axis[where] for axis in index)] = labels[where]
            self._layer.refresh()

    def _on_paint(self, event: Any) -> None:
        self._undone.clear()
        parts = [_opened(atom)[0] for atom in event.value]
        index = tuple(np.concatenate(axis) for axis in zip(*parts, strict=True))
        self._done.append(Stroke(index, next_serial()))
        if self._held is None or self._held.shape != self._layer.data.shape:
            self._held = np.zeros(self._layer.data.shape, bool)
        self._held[index] = True
        if len(self._done) > MOST_STROKES:
            self._keep_for_good(self._done.pop(0))
        self._fresh += event.value
        # Later, for the bucket tells its history before it writes.
        QTimer.singleShot(0, self._settle)

    def _settle(self) -> None:
        """Put back what was taken from locked segments, or given to them, and tell."""
        atoms, self._fresh = self._fresh, []
        locked = list(self._locked())
        for atom in reversed(atoms):
            index, before, after = _opened(atom)
            self._put_back(index, before, np.isin(before, locked) | np.isin(after, locked))
        if atoms:
            changed = [_slices(_opened(atom)[0], self._layer.ndim) for atom in atoms]
            self._changed(np.unique(np.concatenate(changed)))

    def _keep_for_good(self, stroke: Stroke) -> None:
        assert self._held is not None
        if self._for_good is None:
            self._for_good = np.zeros_like(self._held)
        self._for_good[stroke.index] = True

    def _mark(self) -> None:
        if self._held is None:
            if self._for_good is None:
                return
            self._held = np.zeros(self._layer.data.shape, bool)
        self._held[:] = False if self._for_good is None else self._for_good
        for stroke in self._done:
            self._held[stroke.index] = True


def _opened(atom: Any) -> tuple[Index, NDArray[Any], NDArray[Any]]:
    """Voxels, labels before and after of what napari keeps of a stroke, in either of its forms."""
    if not hasattr(atom, "slice_key"):
        index, before, after = atom
        index = tuple(np.asarray(axis) for axis in index)
        return index, np.asarray(before), np.broadcast_to(after, index[0].shape)
    corner = [part.start for part in atom.slice_key]
    shape = tuple(part.stop - part.start for part in atom.slice_key)
    mask = np.ones(shape, bool) if atom.mask is None else atom.mask
    index = tuple(axis + start for axis, start in zip(np.nonzero(mask), corner, strict=True))
    before = np.asarray(atom.old_values)
    before = before[mask] if before.shape == mask.shape else before.ravel()
    return index, before, np.broadcast_to(atom.new_value, before.shape)


def _slices(index: Index, ndim: int) -> NDArray[np.intp]:
    return np.unique(index[-3]) if ndim >= 3 else np.zeros(1, np.intp)
