import subprocess
import sys

import pytest

CODE = """
import sys
from pathlib import Path
from napari_medsam_lite.acceleration.torch.preload import preload_torch
preload_torch()
loaded = Path("/proc/self/maps").read_text()
assert "libtorch_python.so" in loaded and "libtorch_cpu.so" in loaded
assert "torch" not in sys.modules
import torch
assert torch.ones(2).sum() == 2
preload_torch()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux loads torch's libraries ahead")
def test_libraries_are_there_before_torch_is():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
