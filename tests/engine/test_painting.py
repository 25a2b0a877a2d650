from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.engine.painting import LabelPainter, empty_labels, room_for
from napari_medsam_lite.engine.propagation.slice_mask import SliceMask
from napari_medsam_lite.engine.steps import Step

OVERLAPS = ["surer", "logit", "keep", "overwrite"]


def item(number, logits, corner=(0, 0), index=1, shape=(2, 4), score=0.9):
    return SliceMask(number, index, score, corner, np.array(logits, np.float32), shape)


ITEMS = [
    item(0, [[3, 1, 1, -1]]),
    item(1, [[1.5, 2, 1]], corner=(0, 1)),
    item(2, [[5]], corner=(0, 2)),
]


@pytest.mark.parametrize(
    ("overlap", "row"),
    [
        ("overwrite", [4, 5, 9, 5]),
        ("keep", [4, 4, 4, 5]),
        ("logit", [4, 5, 9, 5]),
        ("surer", [4, 4, 9, 5]),
    ],
)
def test_the_outcome_does_not_depend_on_the_order(overlap, row):
    for order in permutations(ITEMS):
        labels = np.zeros((3, 2, 4), np.uint8)
        painter = LabelPainter(labels, 0, [4, 5, 9], overlap)
        for one in order:
            painter.paint(one)
        assert labels[1, 0].tolist() == row
        assert not labels[[0, 2]].any()


@pytest.mark.parametrize("overlap", OVERLAPS)
def test_what_the_labels_had_before_does_not_block_the_others(overlap):
    """Masks of an earlier run stand where other labels of this run come now."""
    wanted = []
    for order in permutations(ITEMS):
        labels = np.zeros((3, 2, 4), np.uint8)
        labels[1] = [[9, 9, 4, 5], [5, 5, 9, 4]]
        painter = LabelPainter(labels, 0, [4, 5, 9], overlap)
        for one in order:
            painter.paint(one)
        wanted.append(labels[1].tolist())
        assert not labels[1, 1].any(), "each mask takes the place of what its label had"
    assert all(rows == wanted[0] for rows in wanted)


@pytest.mark.parametrize(
    ("overlap", "row"), [("keep", 7), ("logit", 7), ("surer", 7), ("overwrite", 4)]
)
def test_labels_of_others_give_way_to_overwrite_alone(overlap, row):
    for other in (7, 300):
        labels = np.zeros((3, 2, 4), np.uint16)
        labels[1, 0, 1] = other
        LabelPainter(labels, 0, [4], overlap).paint(ITEMS[0])
        assert labels[1, 0].tolist() == [4, other if row == 7 else 4, 4, 0]


def test_across_another_axis():
    labels = np.zeros((2, 3, 4), np.uint8)
    LabelPainter(labels, 1, [1], "overwrite").paint(
        item(0, [[1, 1], [1, -1]], corner=(0, 2), index=2)
    )
    assert np.argwhere(labels).tolist() == [[0, 2, 2], [0, 2, 3], [1, 2, 2]]


@pytest.mark.parametrize("overlap", OVERLAPS)
@pytest.mark.parametrize(
    ("dtype", "label", "other"),
    [(np.uint8, 255, 0), (np.uint16, 65535, 300), (np.int16, 4, -2), (np.int16, 4, -20)],
)
def test_the_ends_of_a_type(overlap, dtype, label, other):
    labels = np.zeros((3, 2, 4), dtype)
    labels[1, 0, 1] = other
    LabelPainter(labels, 0, [label], overlap).paint(ITEMS[0])
    kept = other if other and overlap != "overwrite" else label
    assert labels[1, 0].tolist() == [label, kept, label, 0]


def test_a_tie_of_logits_does_not_depend_on_the_order():
    """float16 cannot tell these apart; the earlier object has them then."""
    near = [item(0, [[1.0001]]), item(1, [[1.0002]])]
    for order in permutations(near):
        labels = np.zeros((3, 2, 4), np.uint8)
        painter = LabelPainter(labels, 0, [4, 5], "logit")
        for one in order:
            painter.paint(one)
        assert labels[1, 0, 0] == 4


@pytest.mark.parametrize(
    ("small", "large", "winner"),
    [
        (0.80, 0.80, 4),  # equally sure: the smaller one
        (0.80, 0.89, 4),  # four times as large, so 0.1 surer is what it takes
        (0.80, 0.91, 5),
    ],
)
def test_a_larger_mask_must_be_surer(small, large, winner):
    pair = [
        item(0, [[1, 1]], score=small),
        item(1, np.full((2, 4), 9), score=large),
    ]
    for order in permutations(pair):
        labels = np.zeros((3, 2, 4), np.uint8)
        painter = LabelPainter(labels, 0, [4, 5], "surer")
        for one in order:
            painter.paint(one)
        assert labels[1].tolist() == [[winner, winner, 5, 5], [5, 5, 5, 5]]


def test_equally_sure_and_large_masks_do_not_depend_on_the_order():
    for order in permutations([item(0, [[1]]), item(1, [[9]])]):
        labels = np.zeros((3, 2, 4), np.uint8)
        painter = LabelPainter(labels, 0, [4, 5], "surer")
        for one in order:
            painter.paint(one)
        assert labels[1, 0, 0] == 4


def test_what_was_erased_by_hand_stays_erased():
    """Also where the run had painted its label over what that label had before."""
    labels = np.zeros((3, 2, 4), np.uint8)
    labels[1, 0] = 4
    step = Step(0, labels.shape)
    LabelPainter(labels, 0, [4], "keep", step).paint(ITEMS[0])
    labels[1, 0, 1] = 0
    step.revert(labels)
    assert labels[1, 0].tolist() == [4, 0, 4, 4]


def test_a_flat_array_is_its_own_only_slice():
    labels = np.zeros((2, 4), np.uint8)
    LabelPainter(labels, 0, [1], "keep").paint(item(0, [[1, -1], [1, 1]], index=0))
    assert labels.tolist() == [[1, 0, 0, 0], [1, 1, 0, 0]]


def test_large_ids_need_more_bits():
    assert empty_labels((1, 2, 2), [255]).dtype == np.uint8
    assert empty_labels((1, 2, 2), [300, 1]).dtype == np.uint16
    small = np.ones((1, 2), np.uint8)
    assert room_for(small, [255]) is small
    assert room_for(small, [256]).dtype == np.uint16
    assert room_for(small.astype(np.int32), [300]).dtype == np.int32


@pytest.mark.parametrize("ids", [[0], [-1], [70000]])
def test_labels_that_no_file_could_hold(ids):
    for make in (lambda: empty_labels((1, 2), ids), lambda: room_for(np.zeros((1, 2), int), ids)):
        with pytest.raises(MedSAMLiteError, match="between 1 and 65535"):
            make()


def test_unknown_rule():
    with pytest.raises(MedSAMLiteError, match="surer, logit, keep, overwrite"):
        LabelPainter(np.zeros((1, 2, 2), np.uint8), 0, [1], "newest")


def test_former_names_of_the_rules():
    for former, row in (("later", [4, 5, 5, 5]), ("earlier", [4, 4, 4, 5])):
        labels = np.zeros((3, 2, 4), np.uint8)
        painter = LabelPainter(labels, 0, [4, 5], former)
        painter.paint(ITEMS[1])
        painter.paint(ITEMS[0])
        assert labels[1, 0].tolist() == row


SIDE = 6
masks = st.lists(
    st.tuples(
        st.integers(0, 2),  # object
        st.integers(0, 3),  # slice
        st.tuples(st.integers(0, SIDE - 2), st.integers(0, SIDE - 2)),  # corner
        st.integers(0, 2**16 - 1),  # seed of the logits
    ),
    max_size=12,
    unique_by=lambda row: row[:2],
)


@given(
    masks,
    st.sampled_from(OVERLAPS),
    st.integers(0, 2),
    st.integers(0, 2**16 - 1),
    st.randoms(use_true_random=False),
)
def test_steps_go_back_and_forth_and_leave_what_was_painted_by_hand(
    rows, overlap, axis, seed, shuffle
):
    rng = np.random.default_rng(seed)
    labels = rng.choice([0, 0, 0, 1, 2, 3, 7], (SIDE, SIDE, SIDE)).astype(np.uint8)
    before, step = labels.copy(), Step(axis, labels.shape)
    painter = LabelPainter(labels, axis, [1, 2, 3], overlap, step)
    items = []
    for number, index, corner, own_seed in rows:
        logits = np.random.default_rng(own_seed).normal(size=(2, 2))
        items.append(item(number, logits, corner, index, (SIDE, SIDE)))
    for one in items:
        painter.paint(one)
    after = labels.copy()
    shuffled = before.copy()
    again = LabelPainter(shuffled, axis, [1, 2, 3], overlap)
    for one in shuffle.sample(items, len(items)):
        again.paint(one)
    np.testing.assert_array_equal(shuffled, after)

    step.revert(labels)
    np.testing.assert_array_equal(labels, before)
    step.repeat(labels)
    np.testing.assert_array_equal(labels, after)
    by_hand = rng.random(labels.shape) < 0.2
    # Labels of the run and nothing at all too; what the run itself had left is no change.
    by_hand &= (drawn := rng.choice([0, 1, 2, 9], labels.shape)) != after
    labels[by_hand] = drawn[by_hand]
    step.revert(labels)
    np.testing.assert_array_equal(labels, np.where(by_hand, drawn, before))


def test_a_step_is_not_taken_back_from_another_array():
    labels = np.zeros((3, 2, 4), np.uint8)
    step = Step(0, labels.shape)
    LabelPainter(labels, 0, [4], "keep", step).paint(ITEMS[0])
    with pytest.raises(MedSAMLiteError, match="another shape"):
        step.revert(np.zeros((3, 5, 5), np.uint8))


def test_what_is_protected_from_now_on_stays():
    labels = np.zeros((3, 2, 4), np.uint8)
    step = Step(0, labels.shape)
    painter = LabelPainter(labels, 0, [4, 5], "overwrite", step)
    painter.paint(item(0, [[1, 1, -1, -1]]))
    held = np.zeros(labels.shape, bool)
    held[1, 0, 3] = True
    painter.protect(held, [4])
    painter.paint(item(1, [[1, 1, 1, 1]]))
    assert labels[1, 0].tolist() == [4, 4, 5, 0]
    assert step.labels == {4, 5}
