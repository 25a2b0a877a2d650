"""Masks as text."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from napari_medsam_lite.io.packed import pack_mask, unpack_mask


@given(npst.arrays(bool, npst.array_shapes(min_dims=3, max_dims=3, max_side=9)))
def test_a_mask_is_back(mask):
    np.testing.assert_array_equal(unpack_mask(pack_mask(mask), mask.shape), mask)


@given(st.text() | st.integers() | st.none() | st.binary().map(repr))
def test_nothing_else_is_a_mask(value):
    with pytest.raises(ValueError):
        unpack_mask(value, (2, 3, 4))


@pytest.mark.parametrize("shape", [(2, 3, 3), (1, 3, 4), (40, 400, 400)])
def test_a_mask_of_another_size_is_refused(shape):
    text = pack_mask(np.ones((2, 9, 9), bool))

    with pytest.raises(ValueError, match="voxels"):
        unpack_mask(text, shape)


def test_a_short_text_takes_no_more_memory_than_the_mask():
    bomb = pack_mask(np.zeros((200, 512, 512), bool))
    assert len(bomb) < 60_000

    with pytest.raises(ValueError, match="voxels"):
        unpack_mask(bomb, (2, 2, 2))
