from types import SimpleNamespace

import pytest
from qtpy.QtWidgets import QComboBox

from napari_medsam_lite.gui.dock.series_row import SeriesRow
from napari_medsam_lite.gui.session.state import SessionState


def series(name, description, count):
    one = SimpleNamespace(shape=(512, 512), description=description)
    return SimpleNamespace(name=name, description=description, slices=(one,) * count)


@pytest.fixture
def choice():
    chosen = []
    return SimpleNamespace(offered=(), chosen=None, choose=chosen.append, asked=chosen)


@pytest.fixture
def state():
    state = SessionState()
    yield state
    state.events.disconnect()


@pytest.fixture
def row(qtbot, state, choice):
    row = SeriesRow(state, choice, lambda act: act())
    qtbot.addWidget(row)
    return row


def test_it_is_there_only_where_a_folder_holds_several(row, state, choice):
    assert row.isHidden()
    choice.offered = series("CT 2", "venous", 30), series("CT 3", "", 4)
    choice.chosen = choice.offered[1]
    state.events.image.emit(None, None)
    assert not row.isHidden()
    combo = row.findChild(QComboBox, "series")
    texts = [combo.itemText(i) for i in range(combo.count())]
    assert texts == ["CT 2 'venous' (30 x 512 x 512)", "CT 3 (4 x 512 x 512)"]
    assert combo.currentIndex() == 1


def test_a_choice_is_handed_on_and_not_taken_before_it_is_open(row, state, choice):
    choice.offered = series("CT 2", "", 30), series("CT 3", "", 4)
    choice.chosen = choice.offered[1]
    state.events.image.emit(None, None)
    combo = row.findChild(QComboBox, "series")
    combo.setCurrentIndex(0)
    combo.activated.emit(0)
    assert choice.asked == [choice.offered[0]]
    assert combo.currentIndex() == 1
    state.busy = True
    assert not combo.isEnabled()
