import numpy as np
import pytest
from napari.layers import Labels

from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.gui.session.painting import UNDO_DEPTH, LabelPainter, highest_label

WINDOW = slice(2, 5), slice(3, 7)
FULL = np.ones((3, 4), bool)


@pytest.fixture
def layer():
    return Labels(np.zeros((6, 8, 10), np.uint8))


@pytest.fixture
def painter(layer):
    painter = LabelPainter()
    painter.begin(layer)
    return painter


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_mask_lands_on_its_slice(layer, painter, axis):
    layer.data = np.zeros((8, 9, 10), np.uint8)
    painter.paint(3, axis, 4, WINDOW, FULL, "keep")
    expected = np.zeros_like(layer.data)
    np.moveaxis(expected, axis, 0)[4, 2:5, 3:7] = 3
    np.testing.assert_array_equal(layer.data, expected)


def test_flat_layer(painter):
    layer = Labels(np.zeros((8, 10), np.uint8))
    painter.begin(layer)
    painter.paint(3, 0, 0, WINDOW, FULL, "keep")
    assert layer.data.sum() == 36


def test_keep_leaves_other_labels_and_overwrite_takes_them(layer, painter):
    layer.data[1, 2, :] = 9
    painter.paint(3, 0, 1, WINDOW, FULL, "keep")
    assert (layer.data[1, 2] == 9).all()
    assert (layer.data[1, 3:5, 3:7] == 3).all()
    painter.paint(4, 0, 1, WINDOW, FULL, "overwrite")
    assert (layer.data[1, 2:5, 3:7] == 4).all()
    assert (layer.data[1, 2, :3] == 9).all()


def test_a_label_painted_again_replaces_its_own_mask(layer, painter):
    painter.paint(3, 0, 1, WINDOW, FULL, "keep")
    painter.paint(3, 0, 1, (slice(0, 1), slice(0, 2)), np.ones((1, 2), bool), "keep")
    assert np.argwhere(layer.data == 3).tolist() == [[1, 0, 0], [1, 0, 1]]


def test_undo_goes_back_run_by_run(layer, painter):
    layer.data[1, 2, 4] = 9
    start = layer.data.copy()
    painter.paint(3, 0, 1, WINDOW, FULL, "overwrite")
    first = layer.data.copy()
    painter.begin(layer)
    painter.paint(3, 0, 1, (slice(0, 1), slice(0, 2)), np.ones((1, 2), bool), "overwrite")
    painter.paint(4, 0, 2, WINDOW, FULL, "overwrite")
    assert painter.depth == 2
    assert painter.undo() is layer
    np.testing.assert_array_equal(layer.data, first)
    assert painter.undo() is layer
    np.testing.assert_array_equal(layer.data, start)
    assert painter.undo() is None
    assert painter.depth == 0


def test_undo_keeps_changes_by_hand(layer, painter):
    painter.paint(3, 0, 1, WINDOW, FULL, "keep")
    layer.data[1, 3, 3] = 8
    layer.data[1, 0, 0] = 8
    painter.undo()
    assert np.argwhere(layer.data).tolist() == [[1, 0, 0], [1, 3, 3]]


def test_a_run_without_a_mask_is_nothing_to_undo(layer, painter):
    painter.paint(3, 0, 1, WINDOW, ~FULL, "keep")
    assert painter.depth == 0
    painter.begin(layer)
    assert painter.undo() is None


def test_undo_depth_is_bounded(layer, painter):
    for i in range(UNDO_DEPTH + 5):
        painter.begin(layer)
        painter.paint(i + 1, 0, 1, WINDOW, FULL, "overwrite")
    assert painter.depth == UNDO_DEPTH


def test_labels_beyond_8_bit_widen_the_layer(layer, painter):
    painter.paint(255, 0, 1, WINDOW, FULL, "keep")
    assert layer.data.dtype == np.uint8
    painter.paint(256, 0, 2, WINDOW, FULL, "keep")
    assert layer.data.dtype == np.uint16
    assert sorted(np.unique(layer.data)) == [0, 255, 256]
    painter.undo()
    assert not layer.data.any()


def test_labels_beyond_16_bit_are_refused(painter):
    with pytest.raises(MedSAMLiteError, match="too high"):
        painter.paint(65536, 0, 1, WINDOW, FULL, "keep")


def test_painted_slices_are_remembered_by_label_and_axis(layer, painter):
    painter.paint(3, 0, 1, WINDOW, FULL, "keep")
    painter.paint(3, 1, 2, WINDOW, FULL, "keep")
    assert painter.painted(layer, 3, 0) == {1}
    assert painter.painted(layer, 3, 1) == {2}
    assert painter.painted(layer, 4, 0) == set()


def test_forgotten_layer_has_nothing_to_undo(layer, painter):
    painter.paint(3, 0, 1, WINDOW, FULL, "keep")
    other = Labels(np.zeros((6, 8, 10), np.uint8))
    painter.begin(other)
    painter.paint(3, 0, 1, WINDOW, FULL, "keep")
    painter.forget(other)
    assert painter.depth == 1
    assert painter.painted(other, 3, 0) == set()
    assert painter.undo() is layer


def test_highest_label(layer):
    assert highest_label(layer) == 0
    layer.data[0, 0, 0] = 7
    assert highest_label(layer) == 7
