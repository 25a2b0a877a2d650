"""torch's libraries, loaded without stopping the window.

`import torch` loads some hundred megabytes of native code while it holds Python's lock: on 2 cores
the window stood still for 0.3 to 0.45 s. A foreign function that ctypes calls runs without the
lock, so the same libraries are loaded through one first; the import then finds them in memory, and
the longest gap was 0.1 s.
"""

from __future__ import annotations

import ctypes
import os
import sys
from importlib.util import find_spec
from pathlib import Path

# In the order and with the flags of torch's own import; they bring the others along.
LIBRARIES = (
    (
        ("libtorch_global_deps.so", os.RTLD_NOW | os.RTLD_GLOBAL),
        ("libtorch_python.so", os.RTLD_NOW),
    )
    if sys.platform == "linux"
    else ()
)


def preload_torch() -> None:
    """Load torch's libraries, on Linux; call it on the worker thread.

    What cannot be loaded is left to the import of torch, which says what is wrong.
    """
    spec = find_spec("torch")
    if not LIBRARIES or "torch" in sys.modules or spec is None or spec.origin is None:
        return
    dlopen = ctypes.CDLL(None).dlopen
    dlopen.argtypes, dlopen.restype = (ctypes.c_char_p, ctypes.c_int), ctypes.c_void_p
    folder = Path(spec.origin).parent / "lib"
    for name, flags in LIBRARIES:
        if (folder / name).exists():
            dlopen(os.fsencode(folder / name), flags)
