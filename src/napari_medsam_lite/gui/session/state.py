"""What the dock widget shows and what the user chose: one evented object, no Qt."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Literal

from psygnal import SignalGroupDescriptor

from napari_medsam_lite.core.settings import AUTO

if TYPE_CHECKING:
    from napari.layers import Image

AUTO_WINDOW = "auto"
AS_SHOWN = "as shown"
"""The window that is the image's contrast limits when a run starts."""
DEVICES = (AUTO, "cpu", "cuda", "mps")
"""Offered without asking torch, which is not loaded yet; the engine refuses what is not there."""

Overlap = Literal["keep", "overwrite"]
OVERLAPS: dict[Overlap, str] = {
    "keep": "voxels that already have another label stay as they are",
    "overwrite": "new masks replace other labels where they overlap",
}
Task = Literal["slice", "volume"]


@dataclass(frozen=True)
class Run:
    """One line of the session's history.

    Attributes
    ----------
    started : datetime
        Local time.
    image, preset, device : str
        What was segmented, and what really did it.
    task : str
        ``"slice"`` or ``"volume"``.
    boxes, slices : int
        Boxes asked for; slices that got at least one mask.
    seconds : float
        From the press of the button to the end.
    ending : str
        ``"finished"``, ``"cancelled"`` or ``"failed"``.
    """

    started: datetime
    image: str
    task: Task
    preset: str
    device: str
    boxes: int
    slices: int
    seconds: float
    ending: str


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
    overlap : str
        ``"keep"`` or ``"overwrite"``.
    z_from, z_to, z_last : int
        First and last slice (inclusive) of a volume run, and the last slice that there is, across
        the axis that the viewer steps through.
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
    undoable : int
        How many runs can be undone.
    history : tuple of Run
        The latest first.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    images: tuple[Image, ...] = ()
    image: Image | None = None
    window: str = AUTO_WINDOW
    preset: str = AUTO
    device: str = AUTO
    overlap: Overlap = "keep"
    z_from: int = 0
    z_to: int = 0
    z_last: int = 0
    busy: bool = False
    done: int = 0
    total: int = 0
    message: str = "Choose an image, then press Add boxes."
    is_problem: bool = False
    in_use: str = ""
    ahead: str = ""
    read_ahead: bool = True
    on_disk: bool = False
    undoable: int = 0
    history: tuple[Run, ...] = ()

    def tell(self, message: str, problem: bool = False) -> None:
        """Show `message`; `problem` marks it as something that went wrong."""
        self.is_problem = problem
        self.message = message
