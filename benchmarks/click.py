"""From the press of Segment slice to the mask on the screen, in a real napari window.

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/click.py --preset openvino

Ready: the slice is encoded already. Cold: it is not. Busy: it is, and others are being read ahead.
All to the mask in the layer, and to the end of the next redraw, which without a GPU is the drawing
of the window by the processor.
"""

from __future__ import annotations

import argparse
import time

import napari
import numpy as np
from napari.utils.notifications import notification_manager
from qtpy.QtWidgets import QApplication

from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.sample.ct import ct_phantom

SLICES = range(20, 50)
NEW_WINDOWS = "lung", "bone", "brain", "liver", "soft tissue"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="openvino")
    options = parser.parse_args()
    viewer = napari.Viewer(show_welcome_screen=False)
    viewer.open_sample("napari-medsam-lite", "ct_phantom")
    _, widget = viewer.window.add_plugin_dock_widget("napari-medsam-lite", "Segment")
    state, session = widget.state, widget.session
    state.preset, state.read_ahead = options.preset, False
    liver = ct_phantom().boxes[0]
    drawn: list[float] = []
    canvas = viewer.window._qt_viewer.canvas._scene_canvas
    canvas.events.draw.connect(lambda _: drawn.append(time.perf_counter()), position="last")

    def click() -> tuple[float, float]:
        session.undo_actions.undo()
        wait(0.6)
        drawn.clear()
        start = time.perf_counter()
        session.run_actions.segment_slice()
        while state.busy:
            turn()
        done = time.perf_counter()
        while not drawn or drawn[-1] < done:
            turn()
        return 1000 * (done - start), 1000 * (drawn[-1] - start)

    def on(index: int) -> None:
        session.run_actions.add_box(
            Box3D(index, liver.y0, liver.x0, index, liver.y1, liver.x1, key=index)
        )
        wait(0.6)

    on(liver.key or 30)
    click()  # loads the network
    cold, ready = [], []
    for index in SLICES:
        on(index)
        cold.append(click())
        ready.append(click())
    state.read_ahead, busy = True, []
    for window in NEW_WINDOWS:
        state.window = window
        click()  # encodes the slice anew, and then come the others
        busy += [click() for _ in range(6)]
        assert "slices are ready" in state.ahead and "64 of 64" not in state.ahead
    for name, figures in (("ready", ready), ("cold", cold), ("busy", busy)):
        layer, screen = np.array(figures).T
        print(
            f"{name}: mask in the layer median {np.median(layer):.0f} ms, "
            f"p95 {np.percentile(layer, 95):.0f}; on the screen median {np.median(screen):.0f} ms, "
            f"p95 {np.percentile(screen, 95):.0f}"
        )
    viewer.close()


def wait(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        turn()


def turn() -> None:
    """One turn of the event loop; like Qt's own it sleeps when there is nothing to do."""
    QApplication.processEvents()
    time.sleep(0.001)


if __name__ == "__main__":
    with notification_manager:
        main()
