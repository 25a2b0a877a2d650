import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hn

from napari_medsam_lite.engine.tally import Tally, count, numbers_in


@given(
    hn.arrays(
        np.uint8, hn.array_shapes(min_dims=2, max_dims=3, max_side=5), elements=st.integers(0, 4)
    )
)
def test_it_counts_what_is_there(labels):
    tally = Tally(labels)
    planes = labels if labels.ndim == 3 else labels[None]
    for number in range(1, 5):
        assert tally.voxels(number) == np.count_nonzero(labels == number)
        assert tally.slices(number) == sum((plane == number).any() for plane in planes)


def test_only_the_slices_named_are_counted_anew():
    labels = np.zeros((4, 3, 3), np.uint16)
    tally = Tally(labels)
    labels[1], labels[2, 0] = 300, 7
    tally.recount([1])
    assert (tally.voxels(300), tally.slices(300), tally.voxels(7)) == (9, 1, 0)
    tally.recount([2])
    assert tally.voxels(7) == 3
    labels[1] = 0
    tally.recount([1])
    assert tally.voxels(300) == tally.slices(300) == 0


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int32, np.int64])
def test_labels_of_any_whole_numbers(kind):
    labels = np.zeros((2, 3, 4, 5), kind)
    labels[0, 1, 2], labels[1, 2] = 7, 200
    assert numbers_in(labels) == {7, 200}
    assert count(labels[1, 2]) == {200: 20}


def test_huge_and_negative_labels_of_others_take_no_memory():
    labels = np.array([[-3, 2**40], [2**40, 5]])
    assert count(labels) == {2**40: 2, 5: 1}
