import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_medsam_lite.benchmark.drawing import (
    Drawing,
    every,
    few_slices,
    largest_slice,
    one_box,
)
from napari_medsam_lite.benchmark.ways import WAYS, find_ways
from napari_medsam_lite.core.boxes import Box2D, Box3D, tight_box
from napari_medsam_lite.core.errors import MedSAMLiteError

TIGHT = Drawing(margin=0)


def organ():
    """Slices 2 to 12, the largest is 8."""
    mask = np.zeros((15, 40, 50), bool)
    mask[2:13, 10:20, 20:30] = True
    mask[8, 8:22, 20:30] = True
    return mask


def test_one_box():
    assert one_box(organ(), 1, TIGHT) == (Box3D(2, 8, 20, 12, 21, 29),)
    assert one_box(organ(), 1, Drawing()) == (Box3D(2, 6, 18, 12, 23, 31),)


def test_largest_slice():
    assert largest_slice(organ(), 1, TIGHT) == (Box3D(2, 8, 20, 12, 21, 29, key=8),)


@pytest.mark.parametrize(
    ("step", "slices"), [(1, [*range(2, 13)]), (5, [2, 7, 12]), (4, [2, 6, 10, 12]), (20, [2, 12])]
)
def test_key_boxes_begin_and_end_with_the_object(step, slices):
    boxes = every(step)(organ(), 1, TIGHT)
    assert [box.extent(0) for box in boxes] == [(index, index) for index in slices]
    assert {box.key for box in boxes} == {None}
    assert boxes[0].plane(0) == Box2D(10, 20, 19, 29)


def test_key_boxes_leave_out_slices_without_the_object():
    mask = organ()
    mask[3:6] = False
    assert [box.z0 for box in every(2)(mask, 1, TIGHT)] == [2, 7, 9, 11, 12]


def test_few_slices():
    assert [box.z0 for box in few_slices(organ(), 1, TIGHT)] == [4, 8, 10]
    assert few_slices(np.pad(np.ones((4, 5, 5), bool), 3), 1, TIGHT) == ()


@given(
    arrays(bool, st.tuples(st.integers(2, 9), st.integers(2, 9))).filter(np.any),
    st.integers(0, 4),
    st.none() | st.integers(0, 12),
    st.integers(0, 3),
)
def test_a_box_holds_the_object_and_can_be_a_prompt(plane, margin, loose, seed):
    box = Drawing(margin, loose, seed).around(plane, 1, 0)
    tight, most = tight_box(plane), max(margin if loose is None else loose, 1)
    assert tight.y0 - most <= box.y0 <= tight.y0 <= tight.y1 <= box.y1 <= tight.y1 + most
    assert tight.x0 - most <= box.x0 <= tight.x0 <= tight.x1 <= box.x1 <= tight.x1 + most
    assert box.clip(*plane.shape) == box


def test_chance_is_the_same_whatever_else_is_drawn():
    loose = Drawing(loose=12, seed=3)
    each = {box.z0: box for box in every(1)(organ(), 5, loose)}
    assert all(each[box.z0] == box for box in every(5)(organ(), 5, loose))
    assert len({(box.y0, box.x0) for box in each.values()}) > 5
    assert one_box(organ(), 5, loose) != one_box(organ(), 6, loose)
    assert one_box(organ(), 5, loose) != one_box(organ(), 5, Drawing(loose=12, seed=4))


def test_ways_by_name():
    assert [way.name for way in find_ways("guided, published")] == ["published", "guided"]
    assert len({way.name for way in WAYS}) == len(WAYS)
    with pytest.raises(MedSAMLiteError, match="no way 'best'; choose from published"):
        find_ways("guided,best")
