"""What is imported when, in a process of its own: this one has everything already."""

from __future__ import annotations

import inspect
import subprocess
import sys

import napari
import pytest

FIRST_PRESS = """
import sys
import napari, numpy as np
from qtpy.QtTest import QTest

HEAVY = {"dask", "nibabel", "numba", "openvino", "pandas", "scipy", "skimage", "torch"}

def heavy():
    return {name for name in sys.modules if name.partition(".")[0] in HEAVY}

viewer = napari.Viewer(show_welcome_screen=False)
viewer.add_image(np.zeros((4, 64, 64), np.int16), name="CT")
QTest.qWait(100)
start = heavy()
_, widget = viewer.window.add_plugin_dock_widget("napari-medsam-lite", "Segment")
widget.state.read_ahead = False  # it loads the network meanwhile
while "pandas" not in sys.modules or widget.session.runner.idling:
    QTest.qWait(50)
before = heavy()
assert "pandas" not in start, "or nothing is shown here"
widget.session.run_actions.add_boxes()
QTest.qWait(100)
assert len(viewer.layers) == 3
print(sorted(heavy() - before))
viewer.close()
"""


@pytest.mark.skipif(
    "show_welcome_screen" not in inspect.signature(napari.Viewer).parameters,
    reason="an older napari, which brings pandas itself",
)
def test_what_the_first_add_boxes_needs_is_there_before():
    done = subprocess.run(
        [sys.executable, "-c", FIRST_PRESS], capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
