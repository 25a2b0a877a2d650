"""torch.compile of the network's parts.

The report compiled the whole model and then called its parts, which compiles nothing: only the call
of a compiled module is compiled. Here encoder and decoder are, and they run once to have it done.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from napari_medsam_lite.acceleration.torch.folded.network import FoldedMedSAM
from napari_medsam_lite.core.errors import BackendUnavailableError
from napari_medsam_lite.core.files import cache_folder
from napari_medsam_lite.core.frame import FRAME

log = logging.getLogger(__name__)

CUDA_BATCH = 8
"""Images and boxes a CUDA graph takes: its shapes are fixed, so smaller batches are filled up."""


class CompiledMedSAM:
    """A network whose encoder and decoder torch.compile has built, for any batch size.

    On the CPU three graphs are built: the encoder for one image (a batch is no faster there), the
    decoder for one box and for any number of boxes, since torch treats a size of one as a case of
    its own. With CUDA graphs there is one of each, for a batch of fixed size.

    Raises
    ------
    BackendUnavailableError
        If the compiler fails, with its first line.
    """

    def __init__(
        self,
        network: FoldedMedSAM,
        device: torch.device,
        max_autotune: bool,
        progress: Callable[[str], None],
    ) -> None:
        _keep_what_is_built()
        self._fixed = CUDA_BATCH if max_autotune else None
        self._network = network
        mode = "max-autotune" if max_autotune else None
        network.encoder = _compiled(network.encoder, dynamic=False, mode=mode)
        network.decoder = _compiled(network.decoder, dynamic=None, mode=mode)
        progress("compiling, once")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own, about its own internals
            try:
                self._warm_up(device)
            except Exception as error:  # the compiler raises all kinds
                reason = str(error).strip().splitlines()[0]
                raise BackendUnavailableError(f"torch.compile failed: {reason}") from error

    @torch.no_grad()
    def _warm_up(self, device: torch.device) -> None:
        """Build every graph that use will ask for."""
        embeddings = self.encode(torch.zeros(1, 3, FRAME, FRAME, device=device))
        for count in (1, 2):
            boxes = torch.tensor([[64.0, 64.0, 192.0, 192.0]], device=device).expand(count, 4)
            self.decode(embeddings.expand(count, -1, -1).contiguous(), boxes.contiguous())

    def encode(self, images: Tensor) -> Tensor:
        """See `apply_preset.TorchNetwork`."""
        size = self._fixed or 1
        parts = [
            self._network.encode(_fill(part, size)).clone() for part in torch.split(images, size)
        ]
        return torch.cat(parts)[: len(images)]

    def decode(self, embeddings: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """See `apply_preset.TorchNetwork`."""
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


def _keep_what_is_built() -> None:
    """Across runs: torch's default is the temporary folder, which many systems empty."""
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
