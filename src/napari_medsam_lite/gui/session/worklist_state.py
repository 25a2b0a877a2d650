"""What the dock shows of a worklist: one evented object, no Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from psygnal import SignalGroupDescriptor

from napari_medsam_lite.io.work_case import WorkRow


@dataclass
class WorklistState:
    """The cases, and which of them is open; `events` tells of every change.

    Attributes
    ----------
    title : str
        Of the folder or list; empty if none is open.
    rows : tuple of WorkRow
        As they stood when they were looked at last.
    current : int
        The row of the case that is open; -1 if none is.
    colleague : str
        Who has the case that is open, so that nothing of it is saved; empty if it is this user's.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    title: str = ""
    rows: tuple[WorkRow, ...] = ()
    current: int = -1
    colleague: str = ""

    @property
    def row(self) -> WorkRow | None:
        """The case that is open."""
        return self.rows[self.current] if 0 <= self.current < len(self.rows) else None

    def put(self, row: WorkRow) -> None:
        """Show a case as it stands now."""
        self.rows = tuple(row if each.case == row.case else each for each in self.rows)
