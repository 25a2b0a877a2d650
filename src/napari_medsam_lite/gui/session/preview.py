"""Rough masks that are shown until the right ones are there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from napari_medsam_lite.gui.session.writing import MaskWriter

if TYPE_CHECKING:
    from napari_medsam_lite.engine.propagation.slice_mask import SliceMask


class Preview:
    """Those of one moment; nothing of them is counted, kept or undone."""

    def __init__(self) -> None:
        self._writer: MaskWriter | None = None

    def show(self, masks: Iterable[SliceMask], writer: MaskWriter) -> None:
        """Show `masks` in place of those before; errors as `MaskWriter.paint`."""
        self.clear()
        self._writer = writer
        for mask in masks:
            writer.paint(mask)
        writer.redraw()

    def clear(self, *, redraw: bool = False) -> None:
        """Leave the labels as they were before; on the screen too, unless others follow at once."""
        writer, self._writer = self._writer, None
        if writer is not None and writer.is_current:
            writer.take_back()
            if redraw:
                writer.redraw()
