import subprocess
import sys

import pytest

from napari_medsam_lite.acceleration import availability
from napari_medsam_lite.acceleration.availability import unavailable
from napari_medsam_lite.acceleration.presets import PRESETS, find_preset
from napari_medsam_lite.core.errors import BackendUnavailableError
from napari_medsam_lite.core.settings import AUTO


def test_presets_of_the_report_are_there():
    wanted = "eager sdpa compile int8-weight-only int8-dynamic sparse-2-4 nested bf16 openvino"
    assert list(PRESETS) == [*wanted.split(), "openvino-int8", "cuda-max"]


def test_unknown_preset_names_the_others():
    with pytest.raises(BackendUnavailableError, match="choose one of auto, eager, sdpa"):
        find_preset("fastest")


def test_table_and_availability_load_no_torch():
    code = (
        "import sys; from napari_medsam_lite.acceleration.availability import unavailable;"
        "[unavailable(n) for n in ('eager', 'compile', 'int8-dynamic', 'openvino', 'auto')];"
        "assert 'torch' not in sys.modules and 'openvino' not in sys.modules"
    )
    # As on a computer without an NVIDIA GPU, wherever the tests run: with one, torch is asked.
    code = (
        "from napari_medsam_lite.acceleration import availability;"
        "availability._no_cuda_by_the_files = lambda: 'there is none';" + code
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", [AUTO, "eager", "sdpa", "nested", "bf16"])
def test_plain_torch_presets_are_always_there(name):
    assert unavailable(name, "cpu") is None


def test_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setattr(availability.util, "find_spec", lambda name: None)
    reason = unavailable("openvino-int8")
    assert reason == (
        "The preset openvino-int8 needs the package openvino and nncf: "
        "pip install 'napari-medsam-lite[nncf]'."
    )
    assert "[torchao]" in unavailable("int8-dynamic")


def test_missing_compiler_is_said(monkeypatch):
    monkeypatch.setattr(availability.shutil, "which", lambda name: None)
    assert "C++ compiler" in unavailable("compile", "cpu")
    assert unavailable("sdpa", "cpu") is None


@pytest.mark.parametrize("name", ["sparse-2-4", "cuda-max"])
def test_gpu_presets_say_that_there_is_none(name, monkeypatch):
    monkeypatch.setattr(availability, "no_cuda", lambda: "no NVIDIA driver was found")
    assert unavailable(name) == (
        f"The preset {name} needs an NVIDIA GPU, and no NVIDIA driver was found."
    )
    assert unavailable(name, "cpu") == f"The preset {name} runs on cuda alone, not on cpu."


def test_openvino_does_not_pretend_to_run_on_cuda():
    assert "not on cuda" in unavailable("openvino", "cuda")
