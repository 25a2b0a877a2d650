"""The engine as a dock holds it: used by tasks, on the worker thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from napari_medsam_lite.acceleration.torch.preload import preload_torch
from napari_medsam_lite.core.settings import Settings
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.gui.viewer.geometry import Snapshot, to_volume

if TYPE_CHECKING:
    from napari_medsam_lite.engine.prepared import PreparedVolume
    from napari_medsam_lite.engine.segmenter import Segmenter

Tell = Callable[[str], None]


def load_segmenter() -> Segmenter:
    """A segmenter. Imported here because it brings the engine along."""
    preload_torch()
    from napari_medsam_lite.engine.segmenter import Segmenter

    return Segmenter()


class SessionEngine:
    """One segmenter for the whole session, and the volume that was prepared last.

    All but `interrupt`, `clear` and `drop_volume` belong to the worker thread.
    """

    def __init__(self, make_segmenter: Callable[[], Segmenter] = load_segmenter) -> None:
        self._make_segmenter = make_segmenter
        self._segmenter: Segmenter | None = None
        self._last: tuple[Snapshot, str, PreparedVolume] | None = None
        self._clearings = 0

    def load(
        self, settings: Settings, image: Snapshot | Volume, tell: Tell, objects: int = 1
    ) -> Segmenter:
        """The segmenter as `settings` want it, loaded and ready for so many `objects` of `image`.

        `tell` hears what takes long.

        Raises
        ------
        MedSAMLiteError
            Whatever the engine refuses, in one sentence.
        """
        from napari_medsam_lite.engine.detail import sides_of
        from napari_medsam_lite.engine.prepared import frame_across

        # The main thread may call `clear` meanwhile: what was begun before it is not kept.
        clearings = self._clearings
        segmenter = self._segmenter or self._make_segmenter()
        if clearings == self._clearings:
            self._segmenter = segmenter
        segmenter.use(settings.preset, settings.device, settings.checkpoint)
        whole = frame_across(image.shape, image.spacing, settings.axis)
        sides = sides_of(settings, whole, objects)
        segmenter.load(lambda text: tell(f"{text.capitalize()}..."), sides)
        _use_disk(segmenter, settings.on_disk)
        return segmenter

    def prepare(self, snapshot: Snapshot, settings: Settings) -> PreparedVolume:
        """The volume of an image, made ready; the last one is kept, for it takes reading it all."""
        from napari_medsam_lite.engine.prepared import prepare_volume

        clearings = self._clearings
        last, self._last = self._last, None  # lest two volumes are held at once
        if last is None or last[0] is not snapshot:
            prepared = prepare_volume(to_volume(snapshot), settings.window, settings.axis)
        elif last[1] != settings.window:
            prepared = prepare_volume(last[2].volume, settings.window, settings.axis)
        else:
            prepared = last[2].across(settings.axis)
        # A flat image is quickly read, and what reading copies would hide an edit in place.
        if snapshot.is_volume and clearings == self._clearings:
            self._last = snapshot, settings.window, prepared
        return prepared

    def choose_again(self) -> None:
        """Take another preset for ``auto`` if the machine was measured since."""
        if self._segmenter is not None:
            self._segmenter.choose_again()

    def interrupt(self) -> None:
        """Cut the encoding in flight short, where the preset can; from any thread."""
        segmenter = self._segmenter
        if segmenter is not None:
            segmenter.interrupt()

    def clear(self) -> None:
        """Let go of the network, its embeddings and the volume; they are loaded anew if needed."""
        self._clearings += 1
        self._segmenter = self._last = None

    def drop_volume(self) -> None:
        """Let go of the volume: its image is gone."""
        self._last = None


def _use_disk(segmenter: Segmenter, wanted: bool) -> None:
    if not wanted:
        segmenter.cache.disk = None
        return
    from napari_medsam_lite.engine.disk_cache import DiskCache

    held, chosen = segmenter.cache.disk, DiskCache()
    if held is None or (held.folder, held.max_bytes) != (chosen.folder, chosen.max_bytes):
        segmenter.cache.disk = chosen
