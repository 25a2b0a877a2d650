from itertools import permutations

import numpy as np
import pytest

from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.engine.painting import LabelCanvas
from napari_medsam_lite.engine.propagation import SliceMask


def item(number, logits, corner=(0, 0), index=1):
    return SliceMask(number, index, 0.9, corner, np.array(logits, np.float32), (2, 4))


ITEMS = [
    item(0, [[3, 1, 1, -1]]),
    item(1, [[1, 2, 1]], corner=(0, 1)),
    item(2, [[5]], corner=(0, 2)),
]


@pytest.mark.parametrize(
    ("overlap", "row"),
    [("later", [4, 5, 9, 5]), ("earlier", [4, 4, 4, 5]), ("logit", [4, 5, 9, 5])],
)
def test_the_outcome_does_not_depend_on_the_order(overlap, row):
    items = [ITEMS[0], item(1, [[1.5, 2, 1]], corner=(0, 1)), ITEMS[2]]
    for order in permutations(items):
        canvas = LabelCanvas((3, 2, 4), 0, [4, 5, 9], overlap)
        for one in order:
            canvas.paint(one)
        assert canvas.labels[1, 0].tolist() == row
        assert not canvas.labels[[0, 2]].any()


def test_across_another_axis():
    canvas = LabelCanvas((2, 3, 4), 1, [1], "later")
    canvas.paint(item(0, [[1, 1], [1, -1]], corner=(0, 2), index=2))
    assert np.argwhere(canvas.labels).tolist() == [[0, 2, 2], [0, 2, 3], [1, 2, 2]]


def test_large_ids_need_more_bits():
    assert LabelCanvas((1, 2, 2), 0, [255], "later").labels.dtype == np.uint8
    assert LabelCanvas((1, 2, 2), 0, [300, 1], "later").labels.dtype == np.uint16


@pytest.mark.parametrize("ids", [[0], [70000], [-1]])
def test_impossible_ids(ids):
    with pytest.raises(MedSAMLiteError, match="65535"):
        LabelCanvas((1, 2, 2), 0, ids, "later")


def test_unknown_rule():
    with pytest.raises(MedSAMLiteError, match="keep, overwrite, logit"):
        LabelCanvas((1, 2, 2), 0, [1], "newest")
