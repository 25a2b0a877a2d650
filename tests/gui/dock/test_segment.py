import gc
import subprocess
import sys
import threading
import time
import weakref

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt, QTimer
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLabel,
    QWidget,
)

from napari_medsam_lite.acceleration.availability import unavailable
from napari_medsam_lite.acceleration.presets import PRESETS
from napari_medsam_lite.core.boxes import Box2D
from napari_medsam_lite.core.window import WINDOWS
from napari_medsam_lite.gui.dock import controls, preset_choice
from napari_medsam_lite.gui.dock.segment import MedSAMLiteWidget
from napari_medsam_lite.gui.viewer.drawn_boxes import rectangle
from napari_medsam_lite.gui.viewer.geometry import Plane

NAMES = [
    "open_sample",
    "open_files",
    "image_layer",
    "window",
    "segments",
    "new_segment",
    "segment_color",
    "delete_segment",
    "label_set",
    "add_boxes",
    "live",
    "move_boxes",
    "z_from",
    "z_to",
    "set_first",
    "set_last",
    "direction",
    "overlap",
    "keep_painted",
    "segment_slice",
    "segment_volume",
    "segment_all",
    "progress",
    "cancel",
    "continue",
    "undo",
    "redo",
    "save",
    "save_each",
    "detail",
    "step",
    "preset",
    "device",
    "read_ahead",
    "on_disk",
    "save_picture_now",
    "history",
    "history_filter",
    "history_this_image",
    "history_picture",
    "go_to",
    "run_again",
    "save_picture",
    "save_run",
    "delete_run",
    "undo_delete",
    "show_keys",
    "status",
]


@pytest.fixture
def widget(qtbot, viewer, engine):
    widget = MedSAMLiteWidget(viewer, engine)
    qtbot.addWidget(widget)
    yield widget
    widget.session.close()


def part(widget, name, kind=QWidget):
    (found,) = widget.findChildren(kind, name)
    return found


def items(combo):
    return [combo.itemText(i) for i in range(combo.count())]


def press(widget, qtbot, name):
    qtbot.mouseClick(part(widget, name), Qt.MouseButton.LeftButton)


@pytest.fixture
def boxed(widget, image, viewer, qtbot):
    """The widget with an image and a box on slice 4, which is not answered live."""
    widget.state.live = False
    press(widget, qtbot, "add_boxes")
    viewer.layers["CT boxes"].add_rectangles(rectangle(Box2D(2, 3, 7, 6), Plane(0, 4)))
    viewer.dims.set_current_step(0, 4)
    return widget


def test_every_control_is_named_and_explained(widget):
    for name in NAMES:
        assert part(widget, name).toolTip(), name


def test_choices(widget):
    assert items(part(widget, "window", QComboBox)) == ["auto", "as shown", *WINDOWS, "own"]
    assert items(part(widget, "preset", QComboBox)) == ["auto", *PRESETS]
    assert items(part(widget, "device", QComboBox)) == ["auto", "cpu", "cuda", "mps"]
    assert items(part(widget, "overlap", QComboBox)) == ["surer", "logit", "keep", "overwrite"]
    assert items(part(widget, "detail", QComboBox)) == ["auto", "whole", "close"]
    assert items(part(widget, "step", QComboBox)) == ["auto", "1", "2", "3", "4"]


@pytest.fixture
def emulates(monkeypatch):
    """What the processor emulates, though no GPU is asked for."""
    slow = {"bf16": "It runs slowly here.", "cuda-max": "It would run slowly here."}
    for module in (controls, preset_choice):
        monkeypatch.setattr(module, "emulated", lambda name, device: slow.get(name))
    return slow


def test_each_preset_says_what_it_is_or_why_it_cannot_be_had(emulates, widget):
    holder = QWidget()
    widget.setParent(holder)
    combo = part(widget, "preset", QComboBox)
    widget.state.device = "cpu"
    for name, preset in PRESETS.items():
        row = combo.findText(name)
        hint, reason = combo.itemData(row, Qt.ItemDataRole.ToolTipRole), unavailable(name, "cpu")
        slow = f"\n{emulates[name]}" if name in emulates else ""
        assert hint == (reason or preset.summary + slow)
        assert combo.model().item(row).isEnabled() == (reason is None)
        assert combo.itemIcon(row).isNull() == (name != "bf16")
    assert not combo.model().item(combo.findText("cuda-max")).isEnabled()
    widget.setParent(None)


def test_an_emulated_preset_can_be_chosen_and_says_so(emulates, widget, qtbot):
    status = part(widget, "status", QLabel)
    part(widget, "preset", QComboBox).setCurrentText("bf16")
    assert widget.state.preset == "bf16"
    qtbot.waitUntil(lambda: emulates["bf16"] in status.text())
    widget.state.preset = "sdpa"
    qtbot.waitUntil(lambda: emulates["bf16"] not in status.text())


def test_controls_and_state_follow_each_other(widget, image):
    combo = part(widget, "preset", QComboBox)
    combo.setCurrentText("eager")
    assert widget.state.preset == "eager"
    widget.state.preset = "sdpa"
    assert combo.currentText() == "sdpa"
    first, last = part(widget, "z_from", QAbstractSpinBox), part(widget, "z_to", QAbstractSpinBox)
    assert (first.value(), last.value(), last.maximum()) == (0, 7, 7)
    first.setValue(3)
    assert widget.state.z_from == 3


def test_range_follows_a_shorter_image(widget, image, viewer):
    widget.state.z_from = 6
    widget.state.image = viewer.add_image(np.zeros((3, 4, 5)))
    fields = [part(widget, name, QAbstractSpinBox) for name in ("z_from", "z_to")]
    assert [(f.value(), f.maximum()) for f in fields] == [(0, 2), (2, 2)]
    widget.state.image = image
    assert [(f.value(), f.maximum()) for f in fields] == [(0, 7), (7, 7)]


def test_each_image_has_its_own_range_however_many_slices_it_has(widget, image, viewer):
    session, state = widget.session, widget.state
    longer = viewer.add_image(np.zeros((20, 20, 30)), name="longer")
    state.image = longer
    session.segments.begin("liver")
    state.z_from, state.z_to = 12, 15
    count = state.undoable
    for chosen, shown in ((image, (0, 7)), (longer, (12, 15)), (image, (0, 7)), (longer, (12, 15))):
        state.image = chosen
        assert (state.z_from, state.z_to) == shown
    assert state.undoable == count


def test_image_choice_follows_the_viewer(widget, image, viewer):
    combo = part(widget, "image_layer", QComboBox)
    assert combo.currentText() == "CT"
    image.name = "abdomen"
    assert combo.currentText() == "abdomen"
    other = viewer.add_image(np.zeros((3, 4, 5)), name="MR")
    viewer.add_labels(np.zeros((3, 4, 5), np.uint8))
    assert [t for t in items(combo) if t.isalpha()] == ["abdomen", "MR"]
    combo.setCurrentText("MR")
    assert widget.state.image is other
    viewer.layers.remove(other)
    assert combo.currentText() == "abdomen"
    assert widget.state.image is image


def test_image_choice_survives_docking(widget, image):
    holder = QWidget()
    widget.setParent(holder)
    assert part(widget, "image_layer", QComboBox).currentText() == "CT"
    assert widget.state.image is image
    widget.setParent(None)


def test_buttons_are_enabled_when_they_make_sense(boxed, qtbot, segmenter):
    def enabled():
        return [
            part(boxed, name, QAbstractButton).isEnabled()
            for name in ("segment_slice", "segment_volume", "cancel", "undo")
        ]

    segmenter.loading = threading.Semaphore(0)
    qtbot.waitUntil(lambda: enabled() == [True, True, False, True])
    press(boxed, qtbot, "segment_slice")
    qtbot.waitUntil(lambda: enabled() == [False, False, True, False])
    segmenter.loading.release(100)
    qtbot.waitUntil(lambda: enabled() == [True, True, False, True])
    press(boxed, qtbot, "undo")
    press(boxed, qtbot, "undo")
    qtbot.waitUntil(lambda: enabled() == [True, True, False, False])
    assert boxed.session.layers.boxes(boxed.state.image).nshapes == 0


def test_changes_within_the_pause_repaint_once(qtbot, monkeypatch):
    """Whatever the computer is busy with: the timer is asked for, not the clock."""
    owner, shown, begun = QWidget(), [], []
    single_shot = QTimer.singleShot

    def begin(milliseconds, act):
        begun.append(milliseconds)
        single_shot(milliseconds, act)

    monkeypatch.setattr(controls.QTimer, "singleShot", begin)
    qtbot.addWidget(owner)

    def show():
        shown.append(True)

    later = controls.together(show, owner)
    for _ in range(5):
        later()
    assert shown == []
    assert begun == [controls.PAUSE_MS]
    qtbot.waitUntil(lambda: bool(shown))
    assert shown == [True]
    later()
    qtbot.waitUntil(lambda: len(shown) == 2)


def test_what_is_gone_is_not_repainted(qtbot):
    owner, shown = QWidget(), []

    def show():
        shown.append(True)

    later = controls.together(show, owner)
    later()
    owner.deleteLater()
    qtbot.wait(2 * controls.PAUSE_MS)
    assert shown == []


def test_embeddings_go_to_disk_when_asked(boxed, qtbot, segmenter):
    for wanted in (True, False):
        part(boxed, "on_disk", QAbstractButton).setChecked(wanted)
        press(boxed, qtbot, "segment_slice")
        qtbot.waitUntil(lambda: not boxed.state.busy)
        assert (segmenter.cache.disk is not None) is wanted


def test_a_double_click_is_one_run(boxed, qtbot):
    press(boxed, qtbot, "segment_slice")
    press(boxed, qtbot, "segment_slice")
    qtbot.waitUntil(lambda: not boxed.state.busy)
    assert not boxed.state.is_problem
    assert len(boxed.state.history) == 1


def test_progress_and_status_follow_a_run(boxed, qtbot, segmenter):
    segmenter.loading = threading.Semaphore(0)
    bar, status = part(boxed, "progress"), part(boxed, "status", QLabel)
    assert "The network is loaded with the first box." in status.text()
    press(boxed, qtbot, "segment_volume")
    # A moving bar, for the length is not known yet.
    qtbot.waitUntil(lambda: (bar.minimum(), bar.maximum()) == (0, 0))
    segmenter.loading.release(100)
    qtbot.waitUntil(lambda: (bar.value(), bar.maximum()) == (8, 8))
    qtbot.waitUntil(lambda: "Done: 1 box on 8 slices" in status.text())
    assert "In use: sdpa on a fake CPU." in status.text()


def test_problem_is_shown_in_the_status(widget, qtbot):
    press(widget, qtbot, "segment_slice")
    status = part(widget, "status", QLabel)
    qtbot.waitUntil(lambda: "\N{WARNING SIGN} There is no image" in status.text())


def test_it_is_narrow(widget):
    assert widget.minimumSizeHint().width() <= 280


def test_leaving_the_dock_ends_the_session(boxed, qtbot, viewer):
    holder = QWidget()
    boxed.setParent(holder)
    press(boxed, qtbot, "segment_volume")
    boxed.setParent(None)
    assert not boxed.session.runner.busy
    count = len(boxed.state.images)
    viewer.add_image(np.zeros((3, 4, 5)))
    assert len(boxed.state.images) == count


def test_put_into_a_dock_again_it_works(boxed, qtbot, viewer, segmenter):
    """Also when the dock was closed in the middle of a run."""
    holder = QWidget()
    boxed.setParent(holder)
    segmenter.gate = threading.Semaphore(2)
    press(boxed, qtbot, "segment_volume")
    qtbot.waitUntil(lambda: boxed.state.done == 2)
    boxed.setParent(None)
    assert not boxed.state.busy
    segmenter.gate.release(100)
    boxed.setParent(holder)
    qtbot.waitUntil(part(boxed, "segment_slice", QAbstractButton).isEnabled)
    press(boxed, qtbot, "segment_slice")
    qtbot.waitUntil(lambda: len(boxed.state.history) == 2)
    assert boxed.state.history[0].ending == "finished"
    boxed.setParent(None)


@pytest.mark.parametrize("name", ["image_layer", "window", "preset", "device", "overlap", "z_to"])
def test_the_wheel_changes_nothing_without_focus(widget, image, viewer, qtbot, name):
    viewer.add_image(np.zeros((3, 4, 5)), name="MR")
    control = part(widget, name)
    combo = isinstance(control, QComboBox)

    def value():
        return control.currentIndex() if combo else control.value()

    if combo:
        control.setCurrentIndex(1)
    before = value()
    for delta in (-120, 120):
        centre = QPointF(control.rect().center())
        wheel = QWheelEvent(
            centre,
            control.mapToGlobal(centre),
            QPoint(0, 0),
            QPoint(0, delta),
            Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(control, wheel)
        assert value() == before
        assert not wheel.isAccepted(), "the dock is scrolled instead"
    assert control.focusPolicy() == Qt.FocusPolicy.StrongFocus


def test_a_closed_dock_is_freed(qtbot, viewer, image, engine):
    widget = MedSAMLiteWidget(viewer, engine)
    widget.session.run_actions.add_boxes()
    widget.session.close()
    left = [weakref.ref(part) for part in (widget, widget.session, widget.state)]
    del widget

    def gone():
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
        gc.collect()
        return [ref() for ref in left] == [None, None, None]

    qtbot.waitUntil(gone)


def test_it_opens_at_once(qtbot, viewer, image):
    start = time.thread_time()  # of this thread alone, whatever else the machine does
    widget = MedSAMLiteWidget(viewer)
    seconds = time.thread_time() - start
    qtbot.addWidget(widget)
    widget.session.close()
    # 0.03 s measured; the aim is 0.15 s, and a slow machine may take a few times that.
    assert seconds < 0.5


def test_importing_it_loads_nothing_heavy():
    """Readers bring nibabel: what the dock needs of `io` comes without them."""
    code = (
        "import napari.layers, sys\n"  # an old one brings pandas itself
        "before = set(sys.modules)\n"
        "import napari_medsam_lite.gui.dock.segment\n"
        "heavy = {'torch', 'openvino', 'nibabel', 'pandas'} - ({'pandas'} & before)\n"
        "print(heavy & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout.strip() == b"set()"
