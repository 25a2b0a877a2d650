"""Steps from one state of labels to another."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.engine.steps import step_to

SHAPE = (3, 6, 5)
LABELS = npst.arrays(np.uint8, SHAPE, elements=st.integers(0, 3), fill=st.just(0))


@given(LABELS, LABELS)
def test_there_and_back_and_there_again(before, wanted):
    labels = before.copy()
    step = step_to(wanted, labels)
    np.testing.assert_array_equal(labels, wanted)
    step.revert(labels)
    np.testing.assert_array_equal(labels, before)
    step.repeat(labels)
    np.testing.assert_array_equal(labels, wanted)


def test_only_what_differs_is_kept():
    labels, wanted = np.zeros((50, 200, 200), np.uint8), np.zeros((50, 200, 200), np.uint8)
    wanted[7, 20:30, 40:50] = 1
    step = step_to(wanted, labels)

    assert list(step.changes) == [7] and step.nbytes == 200


def test_flat_labels_are_one_slice():
    labels, wanted = np.zeros((6, 5), np.uint8), np.eye(6, 5, dtype=np.uint8)
    step_to(wanted, labels)

    np.testing.assert_array_equal(labels, wanted)


def test_a_step_fits_one_shape():
    step = step_to(np.ones(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8))

    with pytest.raises(MedSAMLiteError, match="another shape"):
        step.revert(np.zeros((2, 6, 5), np.uint8))
