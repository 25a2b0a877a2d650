"""What the monkey does with layers, the view, the choices, files and docks."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_medsam_lite.core.window import WINDOWS
from napari_medsam_lite.gui.session.state import AS_SHOWN, DETAILS, OVERLAPS, STEPS
from torture_parts.scenes import SCENES, blobs
from torture_parts.stage import Stage

MOST_LAYERS = 9
SUFFIXES = (".nii.gz", ".nii", ".npz", ".nrrd", ".seg.nrrd", ".mha", ".dcm", ".xyz")
KEYS = ("Ctrl+Z", "Ctrl+Shift+Z", "N", "J", "K", "Q", "U", "G", "H", "Shift+B", "Shift+I",
        "Shift+O", "Shift+E", "Shift+K", "Shift+Backspace", "Alt+2", "Ctrl+1", "V", "Left", "Right",
        "Delete", "Escape", "1", "3", "5", "Space", "E", "P", "Ctrl+A")  # fmt: skip


class LayerActs:
    """As `BoxActs`."""

    stage: Stage

    def _pick(self, *kinds: str) -> Any | None:
        found = [x for x in self.stage.viewer.layers if not kinds or type(x).__name__ in kinds]
        return self.stage.random.choice(found) if found else None

    def do_add_image(self) -> None:
        if len(self.stage.viewer.layers) < MOST_LAYERS:
            kind = self.stage.random.choice(["ct", "ct", *SCENES])
            SCENES[kind](self.stage.viewer, self.stage.random.randrange(1000))

    def do_choose_image(self) -> None:
        image = self._pick("Image")
        if image is not None:
            self.stage.state.image = image

    do_choose_another_image = do_choose_image

    def do_remove_layer(self) -> None:
        layer = self._pick()
        if layer is not None:
            self.stage.viewer.layers.remove(layer)

    def do_remove_companion(self) -> None:
        layer = self._pick("Shapes", "Labels")
        if layer is not None:
            self.stage.viewer.layers.remove(layer)

    def do_rename_layer(self) -> None:
        layer = self._pick()
        if layer is not None:
            layer.name = self.stage.random.choice(["CT", "CT labels", "CT boxes", "ä ⌘", " ", "x"])

    def do_reorder(self) -> None:
        layers, rng = self.stage.viewer.layers, self.stage.random
        if len(layers) > 1:
            layers.move(rng.randrange(len(layers)), rng.randrange(len(layers)))

    def do_hide(self) -> None:
        layer = self._pick()
        if layer is not None:
            layer.visible = not layer.visible

    def do_select_layer(self) -> None:
        layer = self._pick()
        if layer is not None:
            self.stage.viewer.layers.selection.active = layer

    def do_replace_image(self) -> None:
        """Other voxels, of the same shape or of another."""
        image, rng = self._pick("Image"), self.stage.random
        if image is None or image.rgb or image.multiscale:
            return
        shape = image.data.shape
        if rng.random() < 0.3:
            shape = tuple(max(n - 2, 4) for n in shape)
        image.data = blobs(shape, rng.randrange(1000))

    def do_replace_labels(self) -> None:
        """By others of the same type, another type, or another shape."""
        layer, rng = self._pick("Labels"), self.stage.random
        if layer is None:
            return
        data = np.array(layer.data)
        change = rng.choice(["type", "copy", "empty", "shape", "signed"])
        if change == "shape":
            data = np.zeros([n + 1 for n in data.shape], data.dtype)
        elif change == "empty":
            data = np.zeros_like(data)
        elif change != "copy":
            data = data.astype(np.uint32 if change == "type" else np.int16)
        layer.data = data

    def do_duplicate(self) -> None:
        from napari.layers import _layer_actions

        layer = self._pick()
        if layer is not None and len(self.stage.viewer.layers) < MOST_LAYERS:
            self.stage.viewer.layers.selection = {layer}
            _layer_actions._duplicate_layer(self.stage.viewer.layers)

    def do_own_labels(self) -> None:
        """napari's own button for new labels."""
        if len(self.stage.viewer.layers) < MOST_LAYERS:
            self.stage.viewer._new_labels()

    def do_roll(self) -> None:
        self.stage.viewer.dims.roll()

    def do_three_d(self) -> None:
        dims = self.stage.viewer.dims
        dims.ndisplay = 3
        self.stage.pump(0.05)
        if self.stage.random.random() < 0.6:
            self.stage.press("segment_slice")
        dims.ndisplay = 2

    def do_slider(self) -> None:
        dims = self.stage.viewer.dims
        if dims.not_displayed:
            axis = self.stage.random.choice(dims.not_displayed)
            dims.set_current_step(axis, self.stage.random.randrange(dims.nsteps[axis]))

    do_slide_on = do_slider

    def do_contrast(self) -> None:
        image = self.stage.state.image
        if image is not None and not image.rgb:
            low = self.stage.random.uniform(-200, 100)
            image.contrast_limits = low, low + self.stage.random.uniform(5, 300)

    def _combo(self, field: str, values: Any) -> None:
        setattr(self.stage.state, field, self.stage.random.choice([*values]))

    def do_window(self) -> None:
        self._combo("window", ("auto", AS_SHOWN, *WINDOWS))

    def do_preset(self) -> None:
        self._combo("preset", ("auto", "openvino", "sdpa", "cuda-max"))

    def do_device(self) -> None:
        self._combo("device", ("auto", "auto", "cpu", "cuda"))

    def do_detail(self) -> None:
        self._combo("detail", DETAILS)

    def do_step(self) -> None:
        self._combo("step", STEPS)

    def do_overlap(self) -> None:
        self._combo("overlap", OVERLAPS)

    def do_switch(self) -> None:
        field = self.stage.random.choice(["keep_painted", "read_ahead", "on_disk", "live", "live"])
        setattr(self.stage.state, field, not getattr(self.stage.state, field))

    def do_preferences(self) -> None:
        """napari's page of ours."""
        from napari.settings import get_plugin_settings

        page = get_plugin_settings("napari-medsam-lite")
        page.dock.preset = self.stage.random.choice(["auto", "openvino"])
        page.disk.size = self.stage.random.randrange(1, 20)

    def do_save(self) -> None:
        name = self.stage.random.choice(["a", "b"]) + self.stage.random.choice(SUFFIXES)
        each = self.stage.random.random() < 0.3
        self.stage.told(self.stage.session.saving.save, self.stage.folder / name, each)

    def do_save_and_read(self) -> None:
        """Every voxel is in the file."""
        from napari_medsam_lite.io.formats import read_labels

        stage = self.stage
        stage.settle()
        desk = stage.desk()
        if desk is None or desk.labels is None or stage.state.busy or desk.highest == 0:
            return
        voxels = np.array(desk.masks.volume(desk.leading))
        path = stage.folder / f"read{stage.random.choice(SUFFIXES[:3])}"
        path.unlink(missing_ok=True)
        stage.told(stage.session.saving.save, path)
        stage.settle()
        if path.exists():
            found = read_labels(path)
            # In whatever order the file has its axes.
            same = np.array_equal(np.bincount(found.ravel()), np.bincount(voxels.ravel()))
            assert same, "the file holds other voxels"
            stage.counts["files read back"] += 1

    def do_key(self) -> None:
        self.stage.key(self.stage.random.choice(KEYS))

    def do_reopen_dock(self) -> None:
        self.stage.close_dock()
        self.stage.pump(0.05)
        self.stage.open_dock()

    def do_close_dock(self) -> None:
        self.stage.close_dock()

    def do_restore(self) -> None:
        """What is offered, if anything is."""
        self.stage.press(self.stage.random.choice(["restore", "restore", "discard"]))

    def do_second_dock(self) -> None:
        """Another window with a dock of its own, for a moment."""
        import napari

        with self.stage.heartbeat.paused():
            other = napari.Viewer(show=True)
            SCENES["ct"](other, 7)
        _, widget = other.window.add_plugin_dock_widget("napari-medsam-lite", "Segment")
        widget.session.run_actions.add_boxes()
        if self.stage.random.random() < 0.5:
            widget.session.run_actions.segment_volume()
        self.stage.pump(0.1)
        other.close()

    def do_settle(self) -> None:
        assert self.stage.settle(), "a run or an answer never came to its end"

    do_settle_again = do_settle

    def do_wait(self) -> None:
        self.stage.pump(self.stage.random.uniform(0, 0.3))
