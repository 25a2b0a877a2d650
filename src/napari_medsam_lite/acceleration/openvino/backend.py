"""LiteMedSAM in OpenVINO: the second runtime, with the same contract as torch.

No torch here once the network's files are written: a later start reads them and OpenVINO's own
cache of compiled networks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from napari_medsam_lite.acceleration.backend import Progress, silent
from napari_medsam_lite.acceleration.openvino.files import network_files
from napari_medsam_lite.acceleration.openvino.network import OpenVinoNetwork
from napari_medsam_lite.acceleration.presets import Preset
from napari_medsam_lite.core.frame import STRIDE
from napari_medsam_lite.core.settings import AUTO
from napari_medsam_lite.model.weights import Checkpoint

Embedding = NDArray[np.float16]


class OpenVinoBackend:
    """See `backend.Backend`. Embeddings are ((S / 4)^2, 256) float16, pixels before channels.

    Each side of the frame has a network of its own, for OpenVINO's kernels are made for one size;
    it is converted and loaded when that side is first asked for.
    """

    def __init__(self, preset: Preset, device: str, checkpoint: Checkpoint) -> None:
        import openvino as ov

        self.preset, self.checkpoint = preset, checkpoint
        self._core = ov.Core()
        self._target = "CPU" if device in (AUTO, "cpu") else device.upper()
        self._precision = _precision(self._core, self._target)
        name = self._core.get_property(self._target, "FULL_DEVICE_NAME")
        self.device, self.target = f"{name} (OpenVINO {self._precision})", self._target.lower()
        self._networks: dict[int, OpenVinoNetwork] = {}

    def prepare(self, side: int, progress: Progress = silent) -> None:
        """See `Backend`."""
        if side in self._networks:
            return
        int8 = self.preset.precision == "int8-static"
        with network_files(self.checkpoint, side, self._target, int8, progress) as files:
            progress("loading OpenVINO")
            self._networks[side] = OpenVinoNetwork(
                self._core, files, side, self._target, self._precision
            )

    def encode_images(self, frames: NDArray[np.float32]) -> list[Embedding]:
        """See `Backend`; one image at a time, since a batch is no faster here."""
        network = self._network(frames.shape[-1])
        return [network.encode(frame) for frame in np.ascontiguousarray(frames, np.float32)]

    def decode_boxes(
        self, embeddings: Sequence[Embedding], boxes: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See `Backend`."""
        network = self._network(STRIDE * math.isqrt(len(embeddings[0])))
        return network.decode(embeddings, boxes)

    def interrupt(self) -> None:
        """See `Backend`."""
        for network in tuple(self._networks.values()):  # the worker may add one meanwhile
            network.interrupt()

    def free_memory(self) -> int:
        """See `Backend`."""
        return int(psutil.virtual_memory().available)

    def embedding_to_array(self, embedding: Embedding) -> NDArray[np.float16]:
        """See `Backend`; it is one already."""
        return embedding

    def embedding_from_array(self, array: NDArray[np.float16]) -> Embedding:
        """See `Backend`."""
        return array

    def _network(self, side: int) -> OpenVinoNetwork:
        self.prepare(side)
        return self._networks[side]


def _precision(core: Any, target: str) -> str:
    """What the device does well: bfloat16 on CPUs that have it, float16 on GPU and NPU."""
    if target != "CPU":
        return "f16"
    return "bf16" if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"
