"""The acceleration presets, as rows of data. No torch here: the GUI and the CLI read this table.

Attention, precision and runtime are separate fields, so a preset is a combination of them, as the
report combined them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from napari_medsam_lite.core.errors import BackendUnavailableError
from napari_medsam_lite.core.settings import AUTO

Attention = Literal["manual", "sdpa", "nested"]
"""How tokens attend: written out, torch's fused kernel, or that kernel on nested tensors."""

Precision = Literal[
    "float32", "half", "int8-weight-only", "int8-dynamic", "int8-static", "sparse-2-4"
]
"""What the matrix products are done in.

``"half"`` is a two-byte float: bfloat16, or float16 on GPUs without it; OpenVINO keeps float32 on
processors without bfloat16. ``"int8-static"`` has its ranges fixed by a calibration on CT slices.
"""

Runtime = Literal["torch", "compile", "openvino"]
"""Who runs the network: torch layer by layer, torch.compile, or OpenVINO."""


@dataclass(frozen=True)
class Preset:
    """One way to run the network.

    Parameters
    ----------
    name : str
        What users type.
    summary : str
        A sentence fragment for tables and tooltips.
    attention, precision, runtime : str
        The combination; see the types above.
    fused : bool
        Fold batch normalisation into the convolutions and keep images channels-last (torch only;
        OpenVINO always folds).
    max_autotune : bool
        Let torch.compile try kernels, and record CUDA graphs; takes minutes once.
    devices : tuple of str
        Device types it runs on, the one that ``"auto"`` takes first; empty means any.
    packages : tuple of str
        Modules it needs besides torch.
    extra : str or None
        The extra of this package that installs them.
    agreement : float or None
        The mean mask Dice with ``eager`` that it keeps on single slices; None: no promise.
    by_auto : bool
        Whether ``auto`` may choose it. Not where propagated masks lose more than 0.005 Dice with
        real organs, which a calibration of seconds cannot see (docs/presets.md).
    """

    name: str
    summary: str
    attention: Attention = "sdpa"
    precision: Precision = "float32"
    runtime: Runtime = "torch"
    fused: bool = False
    max_autotune: bool = False
    devices: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    extra: str | None = None
    agreement: float | None = 0.998
    by_auto: bool = True

    @property
    def compiles(self) -> bool:
        """Whether torch.compile builds it."""
        return self.runtime == "compile"

    @property
    def built(self) -> bool:
        """Whether it is built before its first use, for half a minute or more, and kept."""
        return self.compiles or self.precision == "int8-static"


INT8_AGREEMENT = 0.97
HALF_AGREEMENT = 0.985

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset("eager", "the published arithmetic, the reference", attention="manual"),
        Preset("sdpa", "fused scaled dot product attention"),
        Preset(
            "compile",
            "encoder and decoder built by torch.compile, with SDPA",
            runtime="compile",
            fused=True,
            devices=("cuda", "cpu"),
        ),
        Preset(
            "int8-weight-only",
            "8-bit weights (torchao), with SDPA and torch.compile",
            precision="int8-weight-only",
            runtime="compile",
            fused=True,
            devices=("cuda", "cpu"),
            packages=("torchao",),
            extra="torchao",
            agreement=INT8_AGREEMENT,
            by_auto=False,
        ),
        Preset(
            "int8-dynamic",
            "8-bit weights and activations (torchao), with SDPA and torch.compile",
            precision="int8-dynamic",
            runtime="compile",
            fused=True,
            devices=("cuda", "cpu"),
            packages=("torchao",),
            extra="torchao",
            agreement=INT8_AGREEMENT,
        ),
        Preset(
            "sparse-2-4",
            "two of four weights kept (NVIDIA Ampere or newer), chosen on CT slices",
            precision="sparse-2-4",
            runtime="torch",
            fused=True,
            devices=("cuda",),
            agreement=None,
        ),
        Preset(
            "nested",
            "windows without padding as nested tensors, with SDPA",
            attention="nested",
            fused=True,
            devices=("cuda", "cpu"),
        ),
        Preset(
            "bf16",
            "two-byte floats, channels-last, SDPA and fused batch normalisation",
            precision="half",
            fused=True,
            agreement=HALF_AGREEMENT,
        ),
        Preset(
            "openvino",
            "OpenVINO, in bfloat16 where the processor has it",
            precision="half",
            runtime="openvino",
            devices=("cpu", "gpu", "npu"),
            packages=("openvino",),
            agreement=HALF_AGREEMENT,
        ),
        Preset(
            "openvino-int8",
            "OpenVINO with the encoder in 8 bits, calibrated on CT slices (NNCF)",
            precision="int8-static",
            runtime="openvino",
            devices=("cpu", "gpu", "npu"),
            packages=("openvino", "nncf"),
            extra="nncf",
            agreement=INT8_AGREEMENT,
            by_auto=False,
        ),
        Preset(
            "cuda-max",
            "what is fastest on an NVIDIA GPU: half precision, torch.compile and CUDA graphs",
            precision="half",
            runtime="compile",
            fused=True,
            max_autotune=True,
            devices=("cuda",),
            agreement=HALF_AGREEMENT,
        ),
    )
}


def find_preset(name: str) -> Preset:
    """The preset called `name`.

    Raises
    ------
    BackendUnavailableError
        If there is none.
    """
    if name not in PRESETS:
        raise BackendUnavailableError(
            f"There is no preset '{name}'; choose one of {', '.join([AUTO, *PRESETS])}."
        )
    return PRESETS[name]
