"""The backend of a preset, ready to run."""

from __future__ import annotations

from napari_medsam_lite.acceleration.availability import unavailable
from napari_medsam_lite.acceleration.backend import Backend
from napari_medsam_lite.acceleration.presets import find_preset
from napari_medsam_lite.core.errors import BackendUnavailableError
from napari_medsam_lite.model.weights import Checkpoint


def load_backend(preset: str, device: str, checkpoint: Checkpoint) -> Backend:
    """The backend of `preset` on `device` with the weights of `checkpoint`.

    `preset` is a name of `PRESETS`; what ``"auto"`` is, `choose.best_preset` tells. What takes long
    is left to `Backend.prepare`.

    Raises
    ------
    BackendUnavailableError, CheckpointError, DeviceMemoryError
        Each with the reason in one sentence.
    """
    row = find_preset(preset)
    reason = unavailable(row.name, device)
    if reason is not None:
        raise BackendUnavailableError(reason)
    if row.runtime == "openvino":
        from napari_medsam_lite.acceleration.openvino.backend import OpenVinoBackend

        return OpenVinoBackend(row, device, checkpoint)
    from napari_medsam_lite.acceleration.torch.backend import TorchBackend

    return TorchBackend(row, device, checkpoint)
