"""The network at one side of the frame, as OpenVINO requests that are run again and again."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medsam_lite.acceleration.openvino.files import NetworkFiles, checked_cache
from napari_medsam_lite.core.errors import BackendUnavailableError, Interrupted, MedSAMLiteError
from napari_medsam_lite.core.frame import STRIDE

MAX_BATCH = 8
"""Boxes decoded at a time: more do not make one faster, and each holds some ten megabytes."""


class OpenVinoNetwork:
    """Encoder, prompts and decoder for frames of `side`, from `files`, which go when it is loaded.

    Raises
    ------
    BackendUnavailableError
        If OpenVINO cannot load them on `target`.
    """

    def __init__(
        self, core: Any, files: NetworkFiles, side: int, target: str, precision: str
    ) -> None:
        self._side = side
        with checked_cache(files.compiled) as compiled:
            # Without a folder to keep, the files go soon: on Windows they could not while mapped.
            core.set_property({"CACHE_DIR": str(compiled or ""), "ENABLE_MMAP": bool(compiled)})
            try:
                self._parts = {
                    "encoder": _load(core, files.encoder, target, precision),
                    "prompts": _load(core, files.prompts, "CPU", "f32"),
                    "decoder": _load(core, files.decoder, target, precision),
                }
            except RuntimeError as error:
                raise BackendUnavailableError(
                    f"OpenVINO cannot load the network on {target}: {str(error).splitlines()[0]}"
                ) from error
        # Kept: fresh memory for each batch would be mapped page by page.
        self._images = np.empty((MAX_BATCH, (side // STRIDE) ** 2, 256), np.float16)

    def encode(self, frame: NDArray[np.float32]) -> NDArray[np.float16]:
        """(3, S, S) to an embedding."""
        embedding: NDArray[np.float16] = self._run("encoder", frame[None])[0][0].copy()
        return embedding

    def decode(
        self, embeddings: Sequence[NDArray[np.float16]], boxes: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """N embeddings and (N, 4) boxes to (N, S, S) logits and (N,) predicted IoU."""
        logits = np.empty((len(boxes), self._side, self._side), np.float32)
        iou = np.empty(len(boxes), np.float32)
        corners = (boxes.reshape(-1, 2, 2).astype(np.float32) + np.float32(0.5)) / self._side
        prompts = self._run("prompts", corners)[0].copy()
        for part in _batches(embeddings):
            images = self._side_by_side([embeddings[i] for i in part])
            logits[part], iou[part] = self._run("decoder", images, prompts[part])
        return logits, iou

    def interrupt(self) -> None:
        """Cut the encoding in flight short; it takes about a millisecond."""
        self._parts["encoder"].cancel()

    def _side_by_side(self, embeddings: list[NDArray[np.float16]]) -> NDArray[np.float16]:
        """One image (1, P, 256) where all are the same, or all (N, P, 256)."""
        if all(embedding is embeddings[0] for embedding in embeddings):
            return embeddings[0][None]
        images = self._images[: len(embeddings)]
        for image, embedding in zip(images, embeddings, strict=True):
            image[:] = embedding
        return images

    def _run(self, part: str, *inputs: NDArray[Any]) -> list[NDArray[Any]]:
        """The outputs of a part; they are overwritten by its next run."""
        request = self._parts[part]
        try:
            # Not `infer`: of a single thread that would be this one, and could not be cancelled.
            try:
                request.start_async(list(inputs), share_inputs=True)
            finally:  # also after Ctrl-C: it must not read on in inputs that are gone
                request.wait()
        except RuntimeError as error:  # napari's workers swallow it
            reason = str(error).strip().splitlines()[-1]
            if "cancel" in reason:  # "Infer Request was canceled": it has no type of its own
                raise Interrupted(f"The {part} was interrupted.") from error
            raise MedSAMLiteError(f"OpenVINO failed in the {part}: {reason}") from error
        return [tensor.data for tensor in request.output_tensors]


def _batches(embeddings: Sequence[object]) -> list[list[int]]:
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


def _threads() -> dict[str, str]:
    """OpenVINO does not look at OMP_NUM_THREADS itself; worker processes divide the cores by it.

    Nor may it pin its threads, which it does from the first core on: every process would then wait
    for the same cores, however many are idle.
    """
    threads = os.environ.get("OMP_NUM_THREADS", "")
    counted = {"INFERENCE_NUM_THREADS": threads} if threads.isdecimal() else {}
    return {"ENABLE_CPU_PINNING": "NO", **counted}


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
