"""Builds LiteMedSAM with its published numbers and fills it from a checkpoint."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from napari_medsam_lite.core.errors import CheckpointError
from napari_medsam_lite.core.frame import SIDES, STRIDE
from napari_medsam_lite.model.lite_medsam import LiteMedSAM
from napari_medsam_lite.model.mask_decoder import MaskDecoder
from napari_medsam_lite.model.prompt_encoder import PromptEncoder
from napari_medsam_lite.model.tiny_vit import TinyViT
from napari_medsam_lite.model.transformer import TwoWayTransformer
from napari_medsam_lite.model.weights import Checkpoint

CHANNELS = 256
WRAPPERS = ("model", "state_dict")
NAMES_SHOWN = 3


def build_lite_medsam() -> LiteMedSAM:
    """The network with random weights, in evaluation mode."""
    encoder = TinyViT(
        widths=(64, 128, 160, 320),
        depths=(2, 2, 6, 2),
        heads=(2, 4, 5, 10),
        windows=(7, 7, 14, 7),
        strides=(2, 1),
        mlp_ratio=4,
        expansion=4,
        out_channels=CHANNELS,
    )
    prompts = PromptEncoder(CHANNELS, [side // STRIDE for side in SIDES], mask_channels=16)
    decoder = MaskDecoder(TwoWayTransformer(2, CHANNELS, heads=8, hidden=2048), CHANNELS)
    return LiteMedSAM(encoder, prompts, decoder).eval().requires_grad_(False)


def load_lite_medsam(checkpoint: Checkpoint) -> LiteMedSAM:
    """The network with the weights of `checkpoint`, float32 on the CPU, in evaluation mode.

    Accepts a bare state dict, one under ``"model"`` or ``"state_dict"`` (training checkpoints), and
    names prefixed with ``module.`` by data-parallel training.

    Raises
    ------
    CheckpointError
        If the file is no checkpoint, is cut short, or holds another network; the text names the
        difference.
    """
    if not checkpoint.is_official:  # that one's hash says that it is whole
        _check_sums(checkpoint.path)
    state = _unwrap(_read(checkpoint.path), checkpoint.path)
    model = build_lite_medsam()
    _check_same_network(model.state_dict(), state, checkpoint.path)
    model.load_state_dict(state)
    return model


def _check_sums(path: Path) -> None:
    """Compare the checksums inside `path`; checkpoints older than torch 1.6 have none.

    torch does not look at them, and a flipped bit would only show in the masks.
    """
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as packed:
            damaged = packed.testzip()
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError) as error:
        raise _damaged(path) from error
    if damaged is not None:
        raise _damaged(path)


def _damaged(path: Path) -> CheckpointError:
    return CheckpointError(
        f"{path.name} cannot be read as a checkpoint: it is damaged or cut short."
    )


def _read(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path.name} is no plain checkpoint of tensors, so it was not opened."
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise _damaged(path) from error


def _unwrap(content: Any, path: Path) -> dict[str, torch.Tensor]:
    for key in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not content:
        raise CheckpointError(f"{path.name} holds no weights.")
    state = {str(name).removeprefix("module."): value for name, value in content.items()}
    if not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise CheckpointError(
            f"{path.name} holds things other than tensors where weights should be."
        )
    odd = [name for name, value in state.items() if not _is_plain(value)]
    if odd:
        raise CheckpointError(
            f"{path.name} holds weights without plain values, such as meta or sparse tensors "
            f"({_some(odd)}); save it from a network that is loaded and dense."
        )
    return state


def _is_plain(value: torch.Tensor) -> bool:
    dense = value.layout is torch.strided and not value.is_nested and not value.is_quantized
    return dense and not value.is_meta and not value.is_complex()


def _check_same_network(
    wanted: Mapping[str, torch.Tensor], given: Mapping[str, torch.Tensor], path: Path
) -> None:
    missing = [name for name in wanted if name not in given]
    foreign = [name for name in given if name not in wanted]
    shapes = [
        f"{name} {tuple(given[name].shape)} instead of {tuple(wanted[name].shape)}"
        for name in wanted
        if name in given and given[name].shape != wanted[name].shape
    ]
    kinds = ((missing, "missing"), (foreign, "unknown"), (shapes, "of another shape"))
    differences = [f"{len(names)} {kind} ({_some(names)})" for names, kind in kinds if names]
    if differences:
        raise CheckpointError(
            f"{path.name} is not of the LiteMedSAM network: of {len(wanted)} tensors "
            f"{'; '.join(differences)}."
        )


def _some(names: list[str]) -> str:
    return ", ".join(names[:NAMES_SHOWN]) + (", ..." if len(names) > NAMES_SHOWN else "")
