"""What runs on the worker thread: one request to the engine, told in small events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.acceleration.torch.preload import preload_torch
from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.gui.session.state import AUTO_WINDOW, Task
from napari_medsam_lite.gui.thread.runner import post
from napari_medsam_lite.gui.viewer.geometry import Snapshot, to_volume

if TYPE_CHECKING:
    from napari_medsam_lite.acceleration.backend import Backend
    from napari_medsam_lite.core.volume import Volume
    from napari_medsam_lite.engine.predictor import VolumePredictor

MakePredictor = Callable[[str, str], "VolumePredictor"]


@dataclass(frozen=True)
class Request:
    """All that a run needs, taken down when the button was pressed.

    Attributes
    ----------
    boxes : tuple of Box3D
        Each with its key slice. For the task ``"slice"``, all lie on one slice.
    labels : tuple of int
        The label of each box.
    window, preset, device : str
        As chosen in the widget; a window ``"as shown"`` is ``"LEVEL,WIDTH"`` by now.
    on_disk : bool
        Whether embeddings are kept on disk too.
    """

    task: Task
    snapshot: Snapshot
    axis: int
    boxes: tuple[Box3D, ...]
    labels: tuple[int, ...]
    window: str
    preset: str
    device: str
    on_disk: bool = False


@dataclass(frozen=True)
class Doing:
    """What is going on, in words; the network may take seconds to load."""

    text: str


@dataclass(frozen=True)
class Ready:
    """The engine is ready: what is really in use, and how many masks will come at most."""

    preset: str
    device: str
    notice: str | None
    total: int


@dataclass(frozen=True)
class Drawn:
    """One mask: `patch` is (h, w) bool, at `window` of slice `index`."""

    label: int
    index: int
    window: tuple[slice, slice]
    patch: NDArray[np.bool_]


Event = Doing | Ready | Drawn


def load_predictor(preset: str, device: str) -> VolumePredictor:
    """The engine. Imported here because it brings torch."""
    preload_torch()
    from napari_medsam_lite.engine.predictor import VolumePredictor

    return VolumePredictor(preset=preset, device=device)


class Work:
    """Answers requests with one predictor for the whole session; lives on the worker thread."""

    def __init__(self, make_predictor: MakePredictor = load_predictor) -> None:
        self._make_predictor = make_predictor
        self._predictor: VolumePredictor | None = None
        self._backend: Backend | None = None
        self._read: tuple[Snapshot, Volume] | None = None

    def run(self, request: Request) -> Iterator[Event]:
        """Segment, yielding masks as they are ready.

        Raises
        ------
        MedSAMLiteError
            Whatever the engine refuses, in one sentence.
        """
        yield Doing("Loading the network...")
        predictor = self._use(request, lambda text: post(Doing(text)))
        preset, device, notice = predictor.preset, predictor.device, predictor.checkpoint.notice
        yield Doing("Reading the image...")
        self._prepare(predictor, request)
        boxes = list(request.boxes)
        one_slice = request.task == "slice"
        total = len(boxes) if one_slice else predictor.count_slices(boxes)
        yield Ready(preset, device, notice, total)
        if one_slice:
            index = boxes[0].extent(request.axis)[0]
            planes = [box.plane(request.axis) for box in boxes]
            masks = predictor.segment_slice(index, planes)
        else:
            masks = predictor.propagate_in_volume(boxes, propagation="guided")
        for item in masks:
            yield Drawn(request.labels[item.object], item.index, item.window, item.patch)

    def read_ahead(self, request: Request, start: int) -> Iterator[str]:
        """Encode slices from `start` outwards for runs like `request`; yields how far it is.

        The network is loaded first, if it is not.
        """
        predictor = self._use(request, post)
        yield "Reading ahead..."
        self._prepare(predictor, request)
        count = self._volume(request.snapshot).shape[request.axis]
        for ready in predictor.encode_outwards(start):
            yield f"Reading ahead: {ready} of {count} slices are ready."

    def interrupt(self) -> None:
        """Cut the encoding in `read_ahead` short, where the preset can; from any thread."""
        if self._backend is not None:
            self._backend.interrupt()

    def forget(self) -> None:
        """Load the network anew with the next run: ``auto`` may mean another preset now."""
        self._predictor = self._backend = None

    def _prepare(self, predictor: VolumePredictor, request: Request) -> None:
        window = None if request.window == AUTO_WINDOW else request.window
        predictor.set_volume(self._volume(request.snapshot), window, request.axis)

    def _use(self, request: Request, tell: Callable[[str], None]) -> VolumePredictor:
        """The predictor as `request` wants it; `tell` hears what takes long."""
        # A local name, for the main thread may call `forget` meanwhile.
        predictor = self._predictor or self._make_predictor(request.preset, request.device)
        self._predictor = predictor
        predictor.use(preset=request.preset, device=request.device)
        self._backend = predictor.load(lambda text: tell(f"{text.capitalize()}..."))
        _use_disk(predictor, request.on_disk)
        return predictor

    def _volume(self, snapshot: Snapshot) -> Volume:
        """The volume of an image; the last one is kept, so that its fingerprint is taken once."""
        if self._read is None or self._read[0] is not snapshot:
            self._read = None
            self._read = (snapshot, to_volume(snapshot))
        return self._read[1]


def _use_disk(predictor: VolumePredictor, wanted: bool) -> None:
    if not wanted:
        predictor.cache.disk = None
    elif predictor.cache.disk is None:
        from napari_medsam_lite.engine.disk_cache import DiskCache

        predictor.cache.disk = DiskCache()
