import numpy as np

from napari_medsam_lite.core.agreement import dice, dice_by_label


def test_dice():
    a, b = np.zeros((2, 4), bool), np.zeros((2, 4), bool)
    assert dice(a, b) == 1
    a[0], b[:, :2] = True, True
    assert dice(a, b) == 2 * 2 / 8


def test_dice_by_label():
    truth = np.array([[0, 1, 1, 2]])
    assert dice_by_label(np.array([[0, 1, 0, 0]]), truth) == {1: 2 / 3, 2: 0.0}
