import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_medsam_lite.core.agreement import dice
from napari_medsam_lite.engine.propagation.between import (
    box_between,
    disagreement,
    masks_between,
)
from napari_medsam_lite.engine.propagation.slice_mask import SliceMask

SHAPE = (100, 120)


def disc(index, radius, centre=(50, 60), score=0.9):
    y, x = np.ogrid[:100, :120]
    mask = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2
    if not mask.any():
        return SliceMask(0, index, score, (0, 0), np.zeros((0, 0), np.float32), SHAPE)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    inside = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    logits = np.where(inside, 5, -5).astype(np.float32)
    return SliceMask(0, index, score, (int(rows[0]), int(columns[0])), logits, SHAPE)


def test_the_middle_moves_evenly_and_so_does_the_square_of_each_side():
    first, second = np.array([0.0, 0, 30, 40]), np.array([10.0, 20, 50, 20])
    assert box_between(first, second, 0).tolist() == first.tolist()
    assert box_between(first, second, 1).tolist() == second.tolist()
    y0, x0, y1, x1 = box_between(first, second, 0.5)
    assert (y0 + y1, x0 + x1) == pytest.approx((45, 40))
    assert (y1 - y0) ** 2 == pytest.approx((30**2 + 40**2) / 2)
    assert (x1 - x0) ** 2 == pytest.approx(40**2 / 2)
    moved = box_between(first, first + 6, 0.5)
    assert moved.tolist() == (first + 3).tolist(), "a box that only moves keeps its size"


@pytest.mark.parametrize("upwards", [True, False])
def test_a_cone_is_filled_in(upwards):
    ends = (disc(3, 20), disc(7, 28)) if upwards else (disc(7, 28), disc(3, 20))
    found = {item.index: item for item in masks_between(*ends)}
    assert sorted(found) == [4, 5, 6]
    for index, item in found.items():
        assert dice(item.mask, disc(index, 20 + 2 * (index - 3)).mask) > 0.97
        assert (item.source, item.reason) == ("between", "")


def test_a_tube_that_moves_is_filled_in():
    ends = disc(0, 15, (40, 50)), disc(2, 15, (46, 58))
    (middle,) = masks_between(*ends)
    assert dice(middle.mask, disc(1, 15, (43, 54)).mask) > 0.93


def test_the_score_is_the_lower_one():
    (middle,) = masks_between(disc(0, 15, score=0.7), disc(2, 15, score=0.95))
    assert middle.score == 0.7


@given(st.integers(3, 30), st.integers(3, 30))
def test_between_lies_between(first, second):
    (middle,) = masks_between(disc(0, first), disc(2, second))
    low, high = sorted((first, second))
    assert disc(1, low).area <= middle.area <= disc(1, high).area


def test_voxels_of_true_proportions():
    """Of slices with thick rows, distances along the rows count more."""
    square, thick = (
        next(masks_between(disc(0, 10), disc(2, 20), aspect)).mask for aspect in (1.0, 5.0)
    )
    assert not np.array_equal(square, thick)


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (disc(0, 20), disc(4, 21), ""),
        (disc(0, 20), disc(4, 0, (200, 200)), "ends"),
        (disc(0, 20), disc(4, 10), "size"),
        (disc(0, 20), disc(4, 20, (50, 85)), "place"),
        (disc(0, 20, score=0.3), disc(4, 21), "unsure"),
    ],
)
def test_when_masks_may_not_be_filled_in(first, second, words):
    reason = disagreement(first, second)
    assert bool(reason) == bool(words)
    assert words in reason


def test_specks_are_no_parts():
    specked = np.where(disc(0, 20).mask, 5, -5).astype(np.float32)
    specked[2:4, 2:4] = 5
    assert not disagreement(disc(0, 20), SliceMask(0, 4, 0.9, (0, 0), specked, SHAPE))


def test_one_part_and_two_disagree():
    two = np.where(disc(0, 20).mask, 5, -5).astype(np.float32)
    two[50:53] = -5
    split = SliceMask(0, 4, 0.9, (0, 0), two, SHAPE)
    assert "parts" in disagreement(disc(0, 20), split)
