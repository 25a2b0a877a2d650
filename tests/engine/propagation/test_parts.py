import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.ndimage import binary_dilation, label

from napari_medsam_lite.engine.propagation.parts import (
    NEAR,
    count_parts,
    main_parts,
    parts_near,
)
from napari_medsam_lite.engine.propagation.slice_mask import SliceMask

SHAPE = (30, 40)


def mask_of(*rectangles, corner=(0, 0), shape=SHAPE):
    """Ones in rectangles (y0, x0, y1, x1) of the slice, minus ones elsewhere; from `corner` on."""
    logits = np.full(shape, -1, np.float32)
    for y0, x0, y1, x1 in rectangles:
        logits[y0 : y1 + 1, x0 : x1 + 1] = 1
    y, x = corner
    return SliceMask(0, 3, 0.9, corner, logits[y:, x:], shape)


LARGE = (5, 5, 14, 14)
HALF = (5, 20, 14, 24)
SMALL = (5, 30, 14, 33)


def test_specks_are_not_counted():
    assert count_parts(mask_of(LARGE, HALF, (25, 30, 25, 31)).mask) == 2
    assert count_parts(np.zeros(SHAPE, bool)) == 0


def test_the_largest_part_and_those_half_as_large_are_meant():
    kept = main_parts(mask_of(LARGE, HALF, SMALL))
    assert (kept.mask == mask_of(LARGE, HALF).mask).all()
    assert kept.score == 0.9


def test_what_was_dropped_is_surely_outside():
    mask = mask_of(LARGE, SMALL)
    kept = main_parts(mask)
    assert (kept.logits[mask.patch & ~kept.patch] == -1).all()
    assert (mask.logits[5, 30]) == 1, "the mask itself is not touched"


def test_the_parts_that_continue_the_neighbour():
    near = (5, 14 + NEAR, 8, 22)
    found = parts_near(mask_of(near, SMALL), mask_of(LARGE))
    assert (found.mask == mask_of(near).mask).all()


def test_a_part_one_voxel_too_far_away_does_not_continue_it():
    large_but_away = (16 + NEAR, 15, 28, 38)
    found = parts_near(mask_of(LARGE, large_but_away), mask_of((4, 4, 15, 15)))
    assert (found.mask == mask_of(LARGE).mask).all()


def test_where_none_continues_it_the_main_parts_are_left():
    found = parts_near(mask_of(HALF, SMALL, (25, 30, 27, 31)), mask_of((0, 0, 1, 1)))
    assert (found.mask == mask_of(HALF, SMALL).mask).all()


def test_a_neighbour_without_a_mask():
    found = parts_near(mask_of(LARGE, SMALL), mask_of())
    assert (found.mask == mask_of(LARGE).mask).all()


@given(
    arrays.arrays(bool, SHAPE),
    arrays.arrays(bool, SHAPE),
    st.tuples(st.integers(0, 29), st.integers(0, 39)),
    st.tuples(st.integers(0, 29), st.integers(0, 39)),
)
def test_patches_lie_anywhere(mine, other, here, there):
    """The same as on whole slices, whatever part of them the patches cover."""

    def cut(mask, corner):
        y, x = corner
        logits = np.where(mask, 1, -1).astype(np.float32)[y:, x:]
        return SliceMask(0, 3, 0.9, corner, logits, SHAPE)

    mask, neighbour = cut(mine, here), cut(other, there)
    numbers, count = label(mask.mask)
    near = set(numbers[binary_dilation(neighbour.mask, iterations=NEAR)]) - {0}
    found = parts_near(mask, neighbour).mask
    if count < 2:
        assert (found == mask.mask).all()
    elif near:
        assert (found == np.isin(numbers, sorted(near))).all()
    else:
        assert (found == main_parts(mask).mask).all()
