"""The backend that was asked for, loaded when it is needed first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from napari_medsam_lite.acceleration.backend import Backend, Progress, silent
from napari_medsam_lite.acceleration.choose import best_preset
from napari_medsam_lite.acceleration.load import load_backend
from napari_medsam_lite.core.settings import AUTO
from napari_medsam_lite.model.weights import find_checkpoint


@dataclass(frozen=True)
class Choice:
    """What the user asked for; see `VolumePredictor`."""

    preset: str = AUTO
    device: str = AUTO
    checkpoint: str | Path | None = None


class LazyBackend:
    """Holds one `acceleration.backend.Backend`, or the wish for one."""

    def __init__(self, choice: Choice) -> None:
        self._choice = choice
        self._backend: Backend | None = None

    def use(self, **changes: Any) -> None:
        """Change what is named and is not None; the backend is loaded anew if that differs."""
        named = {name: value for name, value in changes.items() if value is not None}
        choice = replace(self._choice, **named)
        if choice != self._choice:
            self._choice, self._backend = choice, None

    def load(self, progress: Progress = silent, sides: Sequence[int] = ()) -> Backend:
        """The backend, loaded now if it was not, and made ready for frames of `sides`.

        `progress` is told what takes long.

        Raises
        ------
        BackendUnavailableError, CheckpointError, DeviceMemoryError
            Each with its reason.
        """
        if self._backend is None:
            checkpoint, device = find_checkpoint(self._choice.checkpoint), self._choice.device
            preset = self._choice.preset
            if preset == AUTO:
                preset = best_preset(checkpoint, device)
            self._backend = load_backend(preset, device, checkpoint)
        for side in sides:
            self._backend.prepare(side, progress)
        return self._backend

    def choose_again(self) -> None:
        """Drop the backend if it was chosen by ``"auto"``, which means another preset by now."""
        backend = self._backend
        if backend is None or self._choice.preset != AUTO:
            return
        if best_preset(backend.checkpoint, self._choice.device) != backend.preset.name:
            self._backend = None

    def interrupt(self) -> None:
        """Cut the encoding in flight short, where the backend can; from any thread."""
        # Read once: the worker may drop it meanwhile.
        backend = self._backend
        if backend is not None:
            backend.interrupt()
