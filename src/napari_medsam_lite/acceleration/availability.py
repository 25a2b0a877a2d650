"""Whether a preset can run here, and if not, why: None or one sentence.

Looks at files and installed packages and asks torch only where a GPU may be at hand, so that the
GUI and the CLI can grey a preset out without loading torch.
"""

from __future__ import annotations

import platform
import shutil
import sys
import sysconfig
from functools import cache
from importlib import metadata, util
from pathlib import Path

from napari_medsam_lite.acceleration.presets import Preset, find_preset
from napari_medsam_lite.core.settings import AUTO

COMPILERS = ("c++", "g++", "clang++")
SPARSE_CAPABILITY = (8, 0)


def unavailable(preset_name: str, device: str = AUTO) -> str | None:
    """None if the preset runs on `device` of this machine, else the reason in one sentence.

    Parameters
    ----------
    preset_name : str
        A name of `PRESETS`, or ``"auto"``, which always finds something.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``; OpenVINO also has ``"gpu"`` and
        ``"npu"``.

    Raises
    ------
    BackendUnavailableError
        If there is no preset of that name.
    """
    if preset_name == AUTO:
        return None
    preset = find_preset(preset_name)
    return (
        _missing_package(preset)
        or _wrong_device(preset, device.split(":")[0])
        or _no_compiler(preset, device.split(":")[0])
    )


def _missing_package(preset: Preset) -> str | None:
    missing = [name for name in preset.packages if util.find_spec(name) is None]
    if not missing:
        return None
    wanted = f"napari-medsam-lite[{preset.extra}]" if preset.extra else missing[0]
    names = " and ".join(missing)
    return f"The preset {preset.name} needs the package {names}: pip install '{wanted}'."


def _wrong_device(preset: Preset, device: str) -> str | None:
    kinds = preset.devices
    if device != AUTO and kinds and device not in kinds:
        return f"The preset {preset.name} runs on {' or '.join(kinds)} alone, not on {device}."
    if device == "cuda" or (device == AUTO and kinds == ("cuda",)):
        reason = no_cuda()
        if reason:
            return f"The preset {preset.name} needs an NVIDIA GPU, and {reason}."
    if preset.precision == "sparse-2-4":
        return _too_old_for_sparsity(preset)
    if preset.runtime == "openvino" and device in ("gpu", "npu"):
        return _no_openvino_device(device)
    return None


@cache
def no_cuda() -> str | None:
    """None if torch can use an NVIDIA GPU, else why not, as a clause."""
    reason = _no_cuda_by_the_files()
    if reason is not None:
        return reason
    import torch

    return None if torch.cuda.is_available() else "torch finds none"


def must_ask_torch() -> bool:
    """Whether `unavailable` may load torch, which takes seconds: so where an NVIDIA GPU may be."""
    return "torch" not in sys.modules and _no_cuda_by_the_files() is None


def _no_cuda_by_the_files() -> str | None:
    if sys.platform == "darwin":
        return "macOS has none"
    if metadata.version("torch").endswith("+cpu"):
        return "the installed torch is built for the CPU alone"
    if shutil.which("nvidia-smi") is None and not Path("/proc/driver/nvidia").exists():
        return "no NVIDIA driver was found"
    return None


def _too_old_for_sparsity(preset: Preset) -> str | None:
    if sys.platform == "win32":
        return f"The preset {preset.name} does not run on Windows: torch has no 2:4 kernels there."
    import torch

    if torch.cuda.get_device_capability() < SPARSE_CAPABILITY:
        return f"The preset {preset.name} needs an NVIDIA GPU of Ampere or newer (capability 8.0)."
    return None


def _no_openvino_device(device: str) -> str | None:
    import openvino

    found = [name.split(".")[0].lower() for name in openvino.Core().available_devices]
    if device in found:
        return None
    return f"OpenVINO finds no device {device} here; it finds {', '.join(sorted(set(found)))}."


def _no_compiler(preset: Preset, device: str) -> str | None:
    """torch.compile builds C++ for the CPU, and for CUDA through triton with a C compiler."""
    if not preset.compiles:
        return None
    on_cuda = device == "cuda" or (device == AUTO and no_cuda() is None)
    if on_cuda and util.find_spec("triton") is None:
        return f"The preset {preset.name} needs triton to build GPU kernels: pip install triton."
    if not on_cuda and _cpu_compiler() is None:
        return f"The preset {preset.name} needs a C++ compiler, and {_where_to_get_a_compiler()}."
    return None


def _cpu_compiler() -> str | None:
    """The C++ compiler that torch.compile would find; its headers must be there too."""
    names = ("cl",) if sys.platform == "win32" else COMPILERS
    if sys.platform != "win32" and not Path(sysconfig.get_paths()["include"], "Python.h").exists():
        return None
    return next((path for path in map(shutil.which, names) if path), None)


def _where_to_get_a_compiler() -> str:
    system = platform.system()
    if system == "Windows":
        return "cl.exe was not found: start from a Visual Studio developer prompt"
    if system == "Darwin":
        return "none was found: run xcode-select --install"
    return "none was found together with Python's headers: install g++ and python3-dev"
