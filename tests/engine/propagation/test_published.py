import numpy as np
import pytest

from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.frame import FRAME, ModelFrame
from napari_medsam_lite.engine.propagation.published import boxes_of_labels, plan, propagate

FRAME_256 = ModelFrame(256, 256)


def box(first, last, key=None):
    return Box3D(first, 50, 60, last, 150, 170, key)


def test_the_plan_goes_from_the_middle_to_both_ends():
    assert plan(box(2, 9), 0) == ([5, 6, 7, 8, 9], [4, 3, 2])


@pytest.mark.parametrize("key", [2, 5, 9])
def test_the_plan_starts_at_the_key_slice(key):
    up, down = plan(box(2, 9, key), 0)
    assert up[0] == key
    assert sorted(up + down) == list(range(2, 10))


def test_a_single_slice():
    assert plan(box(4, 4), 0) == ([4], [])


def test_the_plan_across_another_axis():
    assert plan(box(0, 9), 2)[0][0] == (60 + 170) // 2


class Scripted:
    """Answers with a rectangle a slice, and remembers what it was asked."""

    def __init__(self, rectangles):
        self.rectangles, self.asked = rectangles, {}

    def __call__(self, indices, boxes):
        answers = []
        for index, xyxy in zip(indices, boxes, strict=True):
            self.asked[index] = xyxy.tolist()
            logits = np.full((FRAME, FRAME), -1, np.float32)
            if self.rectangles.get(index):
                y0, x0, y1, x1 = self.rectangles[index]
                logits[y0 : y1 + 1, x0 : x1 + 1] = 1
            answers.append((FRAME_256.mask_to_image(logits), 0.5))
        return answers


def test_each_mask_gives_the_next_box_grown_by_three():
    decode = Scripted({i: (50 + i, 60, 100, 120) for i in range(10)})
    items = list(propagate([box(2, 6)], 0, FRAME_256, decode))
    assert [item.index for item in items] == [4, 3, 5, 2, 6]
    assert decode.asked[4] == [60, 50, 170, 150]
    assert decode.asked[5] == decode.asked[3] == [57, 51, 123, 103]
    assert decode.asked[6] == [57, 52, 123, 103]
    assert decode.asked[2] == [57, 50, 123, 103]
    assert items[0].mask.sum() == items[0].patch.sum() == (100 - 54 + 1) * 61


def test_an_empty_mask_takes_a_published_pass_back_to_the_first_box():
    decode = Scripted({i: (50, 60, 100, 120) for i in range(10) if i != 6})
    list(propagate([box(0, 9)], 0, FRAME_256, decode))
    assert decode.asked[7] == [60, 50, 170, 150]
    assert decode.asked[8] == [57, 47, 123, 103]


def test_objects_do_not_depend_on_each_other():
    def masks(boxes):
        decode = Scripted({i: (50 + i, 60, 100, 120) for i in range(40)})
        items = propagate(boxes, 0, FRAME_256, decode)
        return {(boxes[i.object], i.index): i.mask.tobytes() for i in items}

    many = [box(2, 9), box(5, 30, key=7), box(0, 3)]
    together = masks(many)
    for one in many:
        alone = masks([one])
        assert alone == {key: value for key, value in together.items() if key[0] == one}


def test_boxes_of_labels_are_grown_by_five_and_held_in_the_frame():
    labels = np.zeros((256, 256), np.uint8)
    labels[100:121, 30:51], labels[0:10, 250:256] = 7, 2
    found = {label: xyxy.tolist() for label, xyxy in boxes_of_labels(labels, FRAME_256)}
    assert found == {7: [25, 95, 55, 125], 2: [245, 0, 256, 14]}


def test_boxes_of_labels_are_resized_to_the_nearest():
    labels = np.zeros((512, 512), np.uint8)
    labels[201, 201] = 3
    assert boxes_of_labels(labels, ModelFrame(512, 512)) == []
    labels[200, 200] = 3
    ((label, xyxy),) = boxes_of_labels(labels, ModelFrame(512, 512))
    assert (label, xyxy.tolist()) == (3, [95, 95, 105, 105])
