"""The folded network as OpenVINO files: encoder, prompts and decoder.

This is the one step of the OpenVINO presets that needs torch; its result is kept on disk.
"""

from __future__ import annotations

import contextlib
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

from napari_medsam_lite.acceleration.ct_like import ct_like_frames
from napari_medsam_lite.acceleration.torch.allocator import keep_freed_memory
from napari_medsam_lite.acceleration.torch.folded.network import FoldedMedSAM
from napari_medsam_lite.core.frame import STRIDE
from napari_medsam_lite.model.build import load_lite_medsam
from napari_medsam_lite.model.layers import Attend
from napari_medsam_lite.model.weights import Checkpoint

FLOAT_LAYERS = [
    r".*attn/aten::matmul.*",
    r".*fc2.*",
    r".*stages\.2.*mlp.*",
    r".*(patch_embed|convs|downsample|local_conv|narrow|mix).*",
]
"""Where 8 bits cost too much agreement: convolutions, the attention itself, the widest layers.

NNCF's smoothing and bias correction made masks worse with synthetic frames, so they are off
(docs/acceleration.md has the figures).
"""

CHANNELS = 256


def export(checkpoint: Checkpoint, side: int, folder: Path, attend: Attend) -> None:
    """Write ``encoder.xml``, ``prompts.xml`` and ``decoder.xml`` (each with its .bin) to `folder`.

    The encoder takes one image (1, 3, side, side) float32 and gives (1, (side / 4)^2, 256) float16;
    prompts and decoder take any number of boxes, the prompts as corners in [0, 1]. `attend` is how
    the encoder's windows attend.

    Raises
    ------
    CheckpointError
        As `load_lite_medsam`.
    OSError
        If a file cannot be written.
    """
    keep_freed_memory()
    network = FoldedMedSAM(load_lite_medsam(checkpoint), attend)
    pixels = (side // STRIDE) ** 2
    image = torch.rand(1, 3, side, side)
    embeddings, tokens = torch.rand(2, pixels, CHANNELS), torch.rand(2, 2, CHANNELS)
    _write(network.encoder, (image,), [[1, 3, side, side]], folder / "encoder.xml", half_out=True)
    _write(network.prompts, (torch.rand(2, 2, 2),), [[-1, 2, 2]], folder / "prompts.xml")
    _write(
        network.decoder,
        (embeddings, tokens),
        [[-1, pixels, CHANNELS], [-1, 2, CHANNELS]],
        folder / "decoder.xml",
        half_in=True,
    )


def _write(
    module: nn.Module,
    example: tuple[torch.Tensor, ...],
    shapes: list[list[int]],
    path: Path,
    half_in: bool = False,
    half_out: bool = False,
) -> None:
    import openvino as ov
    from openvino.preprocess import PrePostProcessor

    steps = PrePostProcessor(_converted(module, example, shapes))
    if half_in:
        steps.input(0).tensor().set_element_type(ov.Type.f16)
    if half_out:
        steps.output(0).tensor().set_element_type(ov.Type.f16)
    _save(steps.build(), path)


def _converted(
    module: nn.Module, example: tuple[torch.Tensor, ...], shapes: list[list[int]]
) -> Any:
    """The module as an OpenVINO model whose inputs have `shapes`, float32; -1 is any size.

    By OpenVINO's frontend, since `openvino.convert_model` takes three times as long: it has the
    trace checked by more runs of the network, simplifies what loading simplifies anyway, and
    reports its use over the internet.
    """
    import openvino as ov
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    with warnings.catch_warnings(), torch.no_grad():
        # Tracing warns of Python numbers that become constants: here they are sizes that stay.
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(module, example, check_trace=False)  # type: ignore[no-untyped-call]
        decoder = TorchScriptPythonDecoder(traced)  # kept, for the graph does not keep it
        frontend = FrontEndManager().load_by_framework("pytorch")
        graph = frontend.load(decoder)
        for place, shape in zip(graph.get_inputs(), shapes, strict=True):
            graph.set_partial_shape(place, ov.PartialShape(shape))
            graph.set_element_type(place, ov.Type.f32)
        return frontend.convert(graph)


def quantise(source: Path, target: Path) -> None:
    """Write the encoder of `source` with 8-bit weights and activations to `target`.

    The activations' ranges come from NNCF's calibration on CT-like frames.
    """
    import nncf
    import openvino as ov

    model: Any = ov.Core().read_model(source)
    frames = [frame[None] for frame in ct_like_frames(side=model.input(0).shape[-1])]
    # NNCF's warnings are about its own dependencies; its progress bars must not mix with results.
    with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")
        model = nncf.quantize(
            model,
            nncf.Dataset(frames),
            subset_size=len(frames),
            preset=nncf.QuantizationPreset.MIXED,
            model_type=nncf.ModelType.TRANSFORMER,
            ignored_scope=nncf.IgnoredScope(patterns=FLOAT_LAYERS, validate=False),
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                disable_bias_correction=True,
                smooth_quant_alphas=nncf.AdvancedSmoothQuantParameters(convolution=-1, matmul=-1),
            ),
        )
    _save(model, target)


def _save(model: Any, path: Path) -> None:
    import openvino as ov

    try:
        ov.save_model(model, path, compress_to_fp16=False)
    except RuntimeError as error:  # "iostream error": a full disk has no type of its own there
        raise OSError(f"{path} cannot be written") from error
