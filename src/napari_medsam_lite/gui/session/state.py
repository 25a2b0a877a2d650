"""What the dock widget shows and what the user chose: one evented object, no Qt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

from psygnal import SignalGroupDescriptor

from napari_medsam_lite.core.segmentation import Segmentation
from napari_medsam_lite.core.settings import AUTO, Detail, Overlap, Settings, Step
from napari_medsam_lite.io.history_entry import HistoryEntry

if TYPE_CHECKING:
    from napari.layers import Image

AS_SHOWN = "as shown"
"""The window that is the image's contrast limits when a run starts."""
DEVICES = (AUTO, "cpu", "cuda", "mps")
"""Offered without asking torch, which is not loaded yet; the engine refuses what is not there."""

Direction = Literal["both", "up", "down"]

OVERLAPS: dict[Overlap, str] = {
    "surer": "of the segments of a run the surer and smaller mask wins; others stay as they are",
    "logit": "of the segments of a run the surer one wins voxel by voxel; others stay as they are",
    "keep": "of the segments of a run the earlier one wins; other segments stay as they are",
    "overwrite": "later masks replace what they meet, other segments too, but not locked ones",
}
DETAILS: dict[Detail, str] = {
    "auto": "a close look at each object; all of a slice where many share it or voxels are large",
    "whole": "all of each slice, as published: small organs are seen coarsely",
    "close": "two close looks at each object, joined: small things better, at twice the price",
}
STEPS: dict[Step, str] = {
    "auto": "every 6 mm or so; in between only where the masks disagree",
    "1": "every slice",
    "2": "every second slice, and where the masks disagree",
    "3": "every third slice, and where the masks disagree",
    "4": "every fourth slice, and where the masks disagree",
}
DIRECTIONS: dict[Direction, str] = {
    "both": "from the boxes to both ends of the range",
    "up": "from the lowest box to the last slice of the range",
    "down": "from the highest box to the first slice of the range",
}


@dataclass
class SessionState:
    """The choices and the standing of one dock widget; `events` tells of every change.

    Attributes
    ----------
    images : tuple of Image
        The layers to choose from.
    image : Image or None
        The layer that is segmented.
    window, preset, device : str
        As chosen; ``"auto"`` leaves the choice to the engine, the window ``"as shown"`` to the
        image layer.
    overlap, detail, step : str
        See `core.settings`.
    segmentation : Segmentation
        The segments of the image.
    sizes : mapping
        Number of a segment -> (slices, millilitres) of its mask.
    live : bool
        Whether a box is answered as soon as it is drawn.
    direction : str
        See `DIRECTIONS`.
    keep_painted : bool
        Whether voxels that a person painted stay as they are.
    z_from, z_to, z_last : int
        First and last slice (inclusive) of the current segment's range, and the last slice that
        there is, across the axis that the viewer steps through.
    busy : bool
        Whether a job is in flight.
    done, total : int
        Masks written, and the most there will be; 0 in all means not known yet.
    message : str
        The last thing to tell the user, in a sentence.
    is_problem : bool
        Whether the message tells of something that went wrong.
    in_use : str
        Preset and device really in use, with the notice on the checkpoint.
    ahead : str
        How far reading ahead has come; empty while it rests.
    read_ahead : bool
        Whether slices may be encoded before they are asked for.
    on_disk : bool
        Whether embeddings are kept on disk too.
    autosave : bool
        Whether what is not saved yet is kept beside the session.
    unsaved : str
        What is offered to be restored, in a sentence; empty if nothing is.
    elsewhere : str
        Who else has the image open, in a sentence; empty if nobody has.
    undoable, redoable : int
        How much can be taken back, and done again, of what was done to the image.
    resumable : bool
        Whether a run was cancelled that can go on.
    history : tuple of HistoryEntry
        Runs, the latest first; those of earlier sessions once somebody has looked.
    deleted : int
        Runs that were deleted and can come back.
    run_picture : bytes
        A PNG file's content: the picture of the run that is looked at; empty if there is none.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    images: tuple[Image, ...] = ()
    image: Image | None = None
    window: str = AUTO
    preset: str = AUTO
    device: str = AUTO
    overlap: Overlap = Settings.overlap
    detail: Detail = Settings.detail
    step: Step = Settings.step
    segmentation: Segmentation = field(default_factory=Segmentation)
    sizes: Mapping[int, tuple[int, float]] = field(default_factory=dict)
    live: bool = True
    direction: Direction = "both"
    keep_painted: bool = True
    z_from: int = 0
    z_to: int = 0
    z_last: int = 0
    busy: bool = False
    done: int = 0
    total: int = 0
    message: str = ""
    is_problem: bool = False
    in_use: str = ""
    ahead: str = ""
    read_ahead: bool = True
    on_disk: bool = False
    autosave: bool = True
    unsaved: str = ""
    elsewhere: str = ""
    undoable: int = 0
    redoable: int = 0
    resumable: bool = False
    history: tuple[HistoryEntry, ...] = ()
    deleted: int = 0
    run_picture: bytes = b""

    def settings(self, axis: int, as_shown: str) -> Settings:
        """What is chosen now, for slices across `axis`; `as_shown` is the window as shown."""
        return Settings(
            window=as_shown if self.window == AS_SHOWN else self.window,
            axis=axis,
            preset=self.preset,
            device=self.device,
            overlap=self.overlap,
            on_disk=self.on_disk,
            detail=self.detail,
            step=self.step,
        )

    def tell(self, message: str, problem: bool = False) -> None:
        """Show `message`; `problem` marks it as something that went wrong."""
        self.is_problem = problem
        self.message = message
