import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_medsam_lite.core.boxes import Box2D
from napari_medsam_lite.core.frame import ModelFrame
from napari_medsam_lite.engine.joined import SHIFTS, boxes_for, join
from napari_medsam_lite.engine.look import Look, corners_of, look_around

WHOLE = ModelFrame(512, 512)
BOX = corners_of(Box2D(200, 200, 263, 263))


def test_a_whole_slice_is_asked_for_the_box_alone_as_published():
    assert boxes_for(Look.whole(0, WHOLE), BOX).tolist() == [[100, 100, 131, 131]]


def test_a_close_look_is_asked_for_the_box_a_little_smaller_and_larger_too():
    look = look_around(0, BOX, WHOLE, 2, 128)
    boxes = boxes_for(look, BOX)
    assert boxes[0].tolist() == look.box_to_frame(BOX).tolist()
    assert (boxes[0] - boxes)[:, 0].tolist() == list(SHIFTS)
    assert (boxes - boxes[0])[:, 3].tolist() == list(SHIFTS)


def test_boxes_stay_inside_the_frame():
    look = Look(0, (200, 200), ModelFrame(64, 64, side=128))
    boxes = boxes_for(look, BOX)
    assert boxes.min() == 0
    assert boxes.max() == 127 + 1
    assert boxes_for(Look.whole(0, WHOLE), np.array([-4, -4, 520, 514.0])).tolist() == [
        [0, 0, 256, 256]
    ]


@given(
    st.integers(1, 100),
    st.integers(1, 100),
    st.sampled_from([0.1, 1.0, 12.0]),
    st.sampled_from([1.5, 3.0]),
)
def test_a_thin_box_made_smaller_does_not_end_before_it_starts(rows, columns, aspect, factor):
    box = corners_of(Box2D(100, 100, 100 + rows, 100 + columns))
    look = look_around(0, box, ModelFrame(256, 256, aspect), factor, 128)
    boxes = boxes_for(look, box)
    assert (boxes[:, :2] <= boxes[:, 2:]).all()


def test_the_answers_of_one_look_are_averaged():
    look = Look(0, (10, 20), ModelFrame(128, 128, side=128))
    logits = np.full((3, 128, 128), -1, np.float32)
    logits[:, 30:40, 50:60] = 4
    logits[0, 30:40, 60:70] = 3  # one against two
    logits[1:, 40:45, 50:60] = 1  # two against one
    patch = join([look], [logits])
    mask = np.zeros((512, 512), bool)
    (y, x), (h, w) = patch.corner, patch.logits.shape
    mask[y : y + h, x : x + w] = patch.logits > 0
    assert mask[40:50, 70:80].all()
    assert mask[50:55, 70:80].all()
    assert mask.sum() == 10 * 10 + 5 * 10 + 10 * 10  # (3 - 1 - 1) / 3 is positive too


def test_looks_are_joined_inside_the_smallest():
    small, large = (look_around(0, BOX, WHOLE, factor, 128) for factor in (2, 3))
    there = np.full((1, 128, 128), 2, np.float32)
    patch = join([small, large], [there, there])
    assert patch.corner == small.corner
    assert patch.logits.shape == (small.frame.height, small.frame.width)
    nowhere = join([small, large], [-there, there / 2])
    assert nowhere.logits.size == 0
