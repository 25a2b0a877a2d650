"""Strokes of napari's brush, and what is kept of them."""

import numpy as np
from napari.layers import Labels

from napari_medsam_lite.gui.viewer.brush import MOST_STROKES, Brush


def test_as_many_strokes_are_taken_back_as_napari_keeps_and_all_are_held(qtbot):
    layer = Labels(np.zeros((2, 15, 15), np.uint8))
    brush = Brush(layer, frozenset, lambda _: None)
    for place in range(MOST_STROKES + 20):
        where = (0, *divmod(place, 15))
        layer.data_setitem(tuple(np.array([part]) for part in where), 1)
    taken = 0
    while brush.last_done:
        brush.undo()
        taken += 1
    assert taken == MOST_STROKES
    assert np.count_nonzero(layer.data) == 20
    assert np.count_nonzero(brush.held) == 20
    brush.close()
