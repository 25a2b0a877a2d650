import gc
import weakref

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import QEvent, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QComboBox, QDoubleSpinBox

from napari_medsam_lite.core.window import WINDOWS
from napari_medsam_lite.gui.dock.window_row import OF_FILE, OWN, WindowRow
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.gui.session.window_link import WindowLink

CT = np.random.default_rng(0).integers(-1000, 1000, (8, 20, 30), np.int16)


@pytest.fixture
def state():
    return SessionState()


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def image(viewer, state):
    image = viewer.add_image(CT)
    state.images = (image,)
    return image


@pytest.fixture
def row(viewer, state, qtbot):
    link = WindowLink(viewer, state)
    link.open()
    row = WindowRow(state, link)
    qtbot.addWidget(row)
    yield row
    link.close()
    state.events.disconnect()


@pytest.fixture
def combo(row):
    return row.findChild(QComboBox, "window")


def numbers(row):
    fields = [row.findChild(QDoubleSpinBox, name) for name in ("level", "width")]
    return [field.text() for field in fields]


def type_into(row, name, text):
    field = row.findChild(QDoubleSpinBox, name)
    field.selectAll()
    QTest.keyClicks(field, text)
    QTest.keyClick(field, Qt.Key.Key_Return)


def test_all_windows_are_offered(combo):
    offered = [combo.itemText(i) for i in range(combo.count())]
    assert offered == ["auto", "as shown", *WINDOWS, OWN]
    assert all(combo.itemData(i, Qt.ItemDataRole.ToolTipRole) for i in range(combo.count()))


def test_a_choice_is_shown_in_numbers_and_on_the_image(row, combo, state, image):
    state.image = image
    combo.setCurrentText("lung")
    assert state.window == "lung"
    assert numbers(row) == ["-600", "1500"]
    assert tuple(image.contrast_limits) == (-1350, 150)


def test_numbers_that_are_typed_are_the_window(row, combo, state, image):
    state.image = image
    type_into(row, "level", "50")
    assert state.window == "50,400"
    type_into(row, "width", "350")
    assert (state.window, combo.currentText()) == ("50,350", OWN)
    assert tuple(image.contrast_limits) == (-125, 225)
    state.window = "bone"
    assert (combo.currentText(), numbers(row)) == ("bone", ["400", "1800"])


def test_half_a_number_is_no_window(row, state, image):
    state.image = image
    field = row.findChild(QDoubleSpinBox, "width")
    field.selectAll()
    QTest.keyClicks(field, "3")
    assert state.window == "auto"


def test_contrast_limits_changed_in_napari_are_shown(row, combo, state, image):
    state.image = image
    image.contrast_limits = (0, 100)
    assert (combo.currentText(), numbers(row)) == ("as shown", ["50", "100"])


def test_own_takes_what_is_shown(row, combo, state, image):
    state.image = image
    image.contrast_limits = (0, 100)
    combo.setCurrentText(OWN)
    assert state.window == "50,100"


def test_small_numbers_are_not_rounded_away(row, state, image):
    state.image = image
    image.contrast_limits = (0.125, 0.5)
    assert numbers(row) == ["0.3125", "0.375"]


def test_without_an_image_there_are_no_numbers_to_change(row, state, image):
    fields = row.findChildren(QDoubleSpinBox)
    assert not any(field.isEnabled() for field in fields)
    state.image = image
    assert all(field.isEnabled() for field in fields)


def test_it_is_narrow(row):
    assert row.minimumSizeHint().width() <= 280


def test_nothing_keeps_a_row_that_is_gone(viewer, state, qtbot):
    link = WindowLink(viewer, state)
    link.open()
    row = WindowRow(state, link)
    gone = weakref.ref(row)
    row.deleteLater()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    del row
    gc.collect()
    assert gone() is None
    state.window = "lung"
    link.close()


def test_the_file_s_own_window_is_a_choice_where_it_has_one(row, combo, state, viewer, image):
    state.image = image
    assert OF_FILE not in [combo.itemText(i) for i in range(combo.count())]
    ct = viewer.add_image(CT, metadata={"medsam_lite": {"window": (-500.0, 1400.0)}})
    state.images = image, ct
    state.image = ct
    row_of_it = combo.findText(OF_FILE)
    assert "level -500, width 1400" in combo.itemData(row_of_it, Qt.ItemDataRole.ToolTipRole)
    combo.setCurrentText(OF_FILE)
    assert state.window == "-500,1400", "what the network is told"
    assert ct.contrast_limits == [-1200, 200]
    assert (combo.currentText(), numbers(row)) == (OF_FILE, ["-500", "1400"])
    combo.setCurrentText("lung")
    state.image = image
    assert OF_FILE not in [combo.itemText(i) for i in range(combo.count())]
    assert combo.currentText() == "auto"
