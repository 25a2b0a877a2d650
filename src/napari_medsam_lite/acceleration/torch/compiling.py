"""torch.compile of the network's parts.

The report compiled the whole model and then called its parts, which compiles nothing: only the call
of a compiled module is compiled. Here encoder and decoder are, and they run once for each side of
the frame to have it done.
"""

from __future__ import annotations

import logging
import math
import os
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from napari_medsam_lite.acceleration.backend import Progress, silent
from napari_medsam_lite.acceleration.torch.folded.network import FoldedMedSAM
from napari_medsam_lite.core.errors import BackendUnavailableError
from napari_medsam_lite.core.files import cache_folder
from napari_medsam_lite.core.frame import STRIDE

log = logging.getLogger(__name__)

MANY_GRAPHS = 64

CUDA_BATCH = 8
"""Images and boxes a CUDA graph takes: its shapes are fixed, so smaller batches are filled up."""


QUIET = {
    "TORCHINDUCTOR_AUTOTUNE_NUM_CHOICES_DISPLAYED": "0",
    "TORCHINDUCTOR_MAX_AUTOTUNE_REPORT_CHOICES_STATS": "0",
}
"""What max-autotune would else write to standard error: how fast each kernel was that it tried."""


class CompiledMedSAM:
    """A network whose encoder and decoder torch.compile builds, for any batch size.

    On the CPU three graphs are built for each side of the frame, all at its first use: the encoder
    for one image (a batch is no faster there), the decoder for one box and for any number of boxes,
    since torch treats a size of one as a case of its own. With CUDA graphs there is one of each,
    for a batch of fixed size.
    """

    def __init__(self, network: FoldedMedSAM, device: torch.device, max_autotune: bool) -> None:
        _set_environment()
        self._device, self._built = device, set[int]()
        self._fixed = CUDA_BATCH if max_autotune else None
        self._network = network
        mode = "max-autotune" if max_autotune else None
        network.encoder = _compiled(network.encoder, dynamic=False, mode=mode)
        network.decoder = _compiled(network.decoder, dynamic=None, mode=mode)

    def prepare(self, side: int, progress: Progress) -> None:
        """Build every graph that frames of `side` will ask for, if that was not done.

        Raises
        ------
        BackendUnavailableError
            If the compiler fails, with its first line.
        """
        if side in self._built:
            return
        progress("compiling, once")
        # torch counts graphs by code, so all sides, and what other presets have left, share 8.
        many: Any = torch._dynamo.config.patch(cache_size_limit=MANY_GRAPHS)
        with warnings.catch_warnings(), many:
            warnings.simplefilter("ignore")  # torch's own, about its own internals
            try:
                self._warm_up(side)
            except Exception as error:  # the compiler raises all kinds
                reason = str(error).strip().splitlines()[0]
                raise BackendUnavailableError(f"torch.compile failed: {reason}") from error
        self._built.add(side)

    @torch.no_grad()
    def _warm_up(self, side: int) -> None:
        embeddings = self._encode(torch.zeros(1, 3, side, side, device=self._device))
        for count in (1, 2):
            boxes = torch.tensor([[side / 4, side / 4, side / 2, side / 2]], device=self._device)
            self._decode(embeddings.repeat(count, 1, 1), boxes.repeat(count, 1))

    def encode(self, images: Tensor) -> Tensor:
        """See `apply_preset.TorchNetwork`."""
        self.prepare(images.shape[-1], silent)
        return self._encode(images)

    def decode(self, embeddings: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """See `apply_preset.TorchNetwork`."""
        self.prepare(STRIDE * math.isqrt(embeddings.shape[1]), silent)
        return self._decode(embeddings, boxes)

    def _encode(self, images: Tensor) -> Tensor:
        size = self._fixed or 1
        parts = [
            self._network.encode(_fill(part, size)).clone() for part in torch.split(images, size)
        ]
        return torch.cat(parts)[: len(images)]

    def _decode(self, embeddings: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        # Each side has graphs of its own: with a size that may change, they would be slower.
        torch._dynamo.mark_static(embeddings, 1)
        if self._fixed is None:
            if len(boxes) > 1:
                torch._dynamo.maybe_mark_dynamic(embeddings, 0)
                torch._dynamo.maybe_mark_dynamic(boxes, 0)
            return self._network.decode(embeddings, boxes)
        parts = [
            tuple(out.clone() for out in self._network.decode(*map(_filled(self._fixed), pair)))
            for pair in zip(
                *(torch.split(x, self._fixed) for x in (embeddings, boxes)), strict=True
            )
        ]
        logits, iou = (torch.cat(outputs)[: len(boxes)] for outputs in zip(*parts, strict=True))
        return logits, iou


def _set_environment() -> None:
    """Let torch be quiet, and keep what it builds: many systems empty its own folder for that."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    folder = cache_folder("inductor")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        log.warning("What torch.compile builds cannot be kept in %s (%s).", folder, error)
        return
    if os.access(folder, os.W_OK):
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder))


def _compiled(module: nn.Module, dynamic: bool | None, mode: str | None) -> nn.Module:
    built: Any = torch.compile(module, dynamic=dynamic, mode=mode)
    assert isinstance(built, nn.Module)
    return built


def _filled(size: int) -> Callable[[Tensor], Tensor]:
    return lambda part: _fill(part, size)


def _fill(part: Tensor, size: int) -> Tensor:
    """The batch with its last entry repeated up to `size`."""
    missing = size - len(part)
    return part if missing == 0 else torch.cat([part, part[-1:].expand(missing, *part.shape[1:])])
