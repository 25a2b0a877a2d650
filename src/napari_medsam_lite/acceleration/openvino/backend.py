"""LiteMedSAM in OpenVINO: the second runtime, with the same contract as torch.

No torch here once the network's files are written: a later start reads them and OpenVINO's own
cache of compiled networks.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from napari_medsam_lite.acceleration.backend import Progress
from napari_medsam_lite.acceleration.openvino.files import (
    NetworkFiles,
    checked_cache,
    network_files,
)
from napari_medsam_lite.acceleration.presets import Preset
from napari_medsam_lite.core.errors import BackendUnavailableError, Interrupted, MedSAMLiteError
from napari_medsam_lite.core.settings import AUTO
from napari_medsam_lite.model.weights import Checkpoint

Embedding = NDArray[np.float16]

MAX_BATCH = 8
"""Boxes decoded at a time: more do not make one faster, and each holds some ten megabytes."""


class OpenVinoBackend:
    """See `backend.Backend`. Embeddings are (4096, 256) float16 arrays, pixels before channels."""

    def __init__(
        self, preset: Preset, device: str, checkpoint: Checkpoint, progress: Progress
    ) -> None:
        import openvino as ov

        self.preset, self.checkpoint = preset, checkpoint
        core = ov.Core()
        target = "CPU" if device in (AUTO, "cpu") else device.upper()
        precision = _precision(core, target)
        int8 = preset.precision == "int8-static"
        with network_files(checkpoint, target, int8, progress) as files:
            progress("loading OpenVINO")
            self._parts = _load_parts(core, files, target, precision)
        self.device = f"{core.get_property(target, 'FULL_DEVICE_NAME')} (OpenVINO {precision})"
        self.target = target.lower()
        # Kept: fresh memory for each batch would be mapped page by page.
        self._images = np.empty((MAX_BATCH, 4096, 256), np.float16)

    def encode_images(self, frames: NDArray[np.float32]) -> list[Embedding]:
        """See `Backend`; one image at a time, since a batch is no faster here."""
        return [
            self._run("encoder", image[None])[0][0].copy()
            for image in np.ascontiguousarray(frames, np.float32)
        ]

    def decode_boxes(
        self, embeddings: Sequence[Embedding], boxes: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See `Backend`."""
        logits = np.empty((len(boxes), 256, 256), np.float32)
        iou = np.empty(len(boxes), np.float32)
        prompts = self._run("prompts", np.ascontiguousarray(boxes, np.float32))[0].copy()
        for part in _batches(embeddings):
            images = self._side_by_side([embeddings[i] for i in part])
            logits[part], iou[part] = self._run("decoder", images, prompts[part])
        return logits, iou

    def _side_by_side(self, embeddings: list[Embedding]) -> NDArray[np.float16]:
        """One image (1, 4096, 256) where all are the same, or all (N, 4096, 256)."""
        if all(embedding is embeddings[0] for embedding in embeddings):
            return embeddings[0][None]
        images = self._images[: len(embeddings)]
        for image, embedding in zip(images, embeddings, strict=True):
            image[:] = embedding
        return images

    def interrupt(self) -> None:
        """See `Backend`; it takes about a millisecond."""
        self._parts["encoder"].cancel()

    def free_memory(self) -> int:
        """See `Backend`."""
        return int(psutil.virtual_memory().available)

    def embedding_to_array(self, embedding: Embedding) -> NDArray[np.float16]:
        """See `Backend`; it is one already."""
        return embedding

    def embedding_from_array(self, array: NDArray[np.float16]) -> Embedding:
        """See `Backend`."""
        return array

    def _run(self, part: str, *inputs: NDArray[Any]) -> list[NDArray[Any]]:
        """The outputs of a part; they are overwritten by its next run."""
        request = self._parts[part]
        try:
            request.infer(list(inputs), share_inputs=True, share_outputs=True)
        except RuntimeError as error:  # napari's workers swallow it
            reason = str(error).strip().splitlines()[-1]
            if "cancel" in reason:  # "Infer Request was canceled": it has no type of its own
                raise Interrupted(f"The {part} was interrupted.") from error
            raise MedSAMLiteError(f"OpenVINO failed in the {part}: {reason}") from error
        return [tensor.data for tensor in request.output_tensors]


def _batches(embeddings: Sequence[Embedding]) -> list[list[int]]:
    """Positions to decode together: first neighbours of one slice, then what is left.

    The decoder takes one image for many boxes, and what it does to the image before it meets the
    tokens is then done once. For two boxes that is not worth a batch of their own.
    """
    runs = [list(run) for _, run in groupby(range(len(embeddings)), lambda i: id(embeddings[i]))]
    shared = [run for run in runs if len(run) > 2]
    rest = [i for run in runs if len(run) <= 2 for i in run]
    return [
        run[start : start + MAX_BATCH]
        for run in (*shared, rest)
        for start in range(0, len(run), MAX_BATCH)
    ]


def _load_parts(core: Any, files: NetworkFiles, target: str, precision: str) -> dict[str, Any]:
    """Encoder, prompts and decoder, ready to run; their files are not needed any more."""
    with checked_cache(files.compiled) as compiled:
        # Without a folder to keep, the files go soon: on Windows they could not while mapped.
        core.set_property({"CACHE_DIR": str(compiled)} if compiled else {"ENABLE_MMAP": False})
        try:
            return {
                "encoder": _load(core, files.encoder, target, precision),
                "prompts": _load(core, files.prompts, "CPU", "f32"),
                "decoder": _load(core, files.decoder, target, precision),
            }
        except RuntimeError as error:
            raise BackendUnavailableError(
                f"OpenVINO cannot load the network on {target}: {str(error).splitlines()[0]}"
            ) from error


def _precision(core: Any, target: str) -> str:
    """What the device does well: bfloat16 on CPUs that have it, float16 on GPU and NPU."""
    if target != "CPU":
        return "f16"
    return "bf16" if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"


def _threads() -> dict[str, str]:
    """OpenVINO does not look at OMP_NUM_THREADS itself; worker processes divide the cores by it."""
    threads = os.environ.get("OMP_NUM_THREADS", "")
    return {"INFERENCE_NUM_THREADS": threads} if threads.isdecimal() else {}


def _load(core: Any, file: Path, target: str, precision: str) -> Any:
    """The network of `file` on `target`, as a request that can be run again and again."""
    config = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
    if target == "CPU":
        config |= _threads()
        try:
            # OpenVINO's generated kernels for attention are slower here than its plain ones: they
            # split the work by head, and ours has few heads and long rows (docs/acceleration.md).
            plain = config | {"SNIPPETS_MODE": "DISABLE"}
            return core.compile_model(file, target, plain).create_infer_request()
        except RuntimeError as error:
            if "SNIPPETS_MODE" not in str(error):
                raise
    return core.compile_model(file, target, config).create_infer_request()
