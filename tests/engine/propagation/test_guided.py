import numpy as np
import pytest

from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.segmentation import Segment
from napari_medsam_lite.engine.propagation.guided import crowd, propagate
from napari_medsam_lite.engine.propagation.route import MARGIN, Route
from napari_medsam_lite.engine.propagation.slice_mask import SliceMask

SHAPE = (256, 256)


def box(first, last, key=None, plane=(50, 60, 150, 170)):
    y0, x0, y1, x1 = plane
    return Box3D(first, y0, x0, last, y1, x1, key)


def key_box(index, *plane):
    return box(index, index, None, *plane)


class Scripted:
    """Answers with a rectangle (y0, x0, y1, x1) a slice, and remembers what it was asked."""

    def __init__(self, rectangles, score=0.9):
        self.rectangles, self.score, self.asked = rectangles, score, {}

    def __call__(self, asked):
        for number, prompt in asked:
            self.asked[prompt.index] = prompt.box.tolist()
            rectangle = self.rectangles(prompt.index)
            if rectangle is None:
                yield SliceMask(
                    number, prompt.index, 0.1, (0, 0), np.zeros((0, 0), np.float32), SHAPE
                )
                continue
            y0, x0, y1, x1 = rectangle
            logits = np.full((y1 - y0 + 1, x1 - x0 + 1), 4, np.float32)
            yield SliceMask(number, prompt.index, self.score, (y0, x0), logits, SHAPE)


class ScriptedParts:
    """Answers with several rectangles a slice, those that lie in the box at all."""

    def __init__(self, rectangles):
        self.rectangles, self.asked = rectangles, {}

    def __call__(self, asked):
        for number, prompt in asked:
            self.asked[prompt.index] = prompt.box.tolist()
            logits = np.full(SHAPE, -4, np.float32)
            for y0, x0, y1, x1 in self.rectangles(prompt.index):
                if x0 <= prompt.box[3]:
                    logits[y0 : y1 + 1, x0 : x1 + 1] = 4
            yield SliceMask(number, prompt.index, 0.9, (0, 0), logits, SHAPE)


def run(segments, answer, step=1, slice_mm=1.0):
    parts = segments if isinstance(segments, list) else [segments]
    return list(propagate(parts, 0, step, (1.0, 1.0), slice_mm, answer))


def still(_):
    return 60, 70, 140, 160


@pytest.mark.parametrize("step", [1, 2, 3, 4])
@pytest.mark.parametrize(
    "boxes",
    [
        (box(0, 9),),
        (box(0, 9, key=9),),
        (key_box(2), key_box(8)),
        (key_box(5),),
        (box(0, 12, key=3), key_box(11)),
    ],
)
def test_each_slice_has_one_mask(boxes, step):
    segment = Segment(boxes)
    items = run(segment, Scripted(still), step)
    first, last = segment.extent(0)
    assert sorted(item.index for item in items) == list(range(first, last + 1))


def test_from_the_middle_of_a_fence_outwards():
    answer = Scripted(lambda z: (60 + z, 70, 140, 160))
    items = run(Segment((box(2, 6),)), answer, slice_mm=50)
    assert [item.index for item in items] == [4, 5, 3, 6, 2]
    assert answer.asked[4] == [50, 60, 150, 170]
    assert answer.asked[5] == [64 - MARGIN, 70 - MARGIN, 140 + MARGIN, 160 + MARGIN]


def test_nothing_lies_outside_a_fence():
    answer = Scripted(lambda _: (10, 20, 240, 250))
    for item in run(Segment((box(2, 6),)), answer):
        assert (item.box.y0, item.box.x0, item.box.y1, item.box.x1) == (50, 60, 150, 170)
    assert all(asked == [50, 60, 150, 170] for asked in answer.asked.values())


def beside(z):
    """A thing that shrinks, and another one beside it, alike on the slices before 6."""
    return [(60, 70, 140, 100), (60, 130, 75 if z < 6 else 140, 160)]


def test_what_lies_beside_a_fenced_thing_is_left_out():
    answer = ScriptedParts(beside)
    items = {item.index: item for item in run(Segment((box(2, 8),)), answer, slice_mm=99)}
    assert all(not items[z].mask[:, 130:].any() for z in items), "small first, then not connected"
    assert all(items[z].mask[60:141, 70:101].all() for z in items)
    assert answer.asked[6][3] == 100 + MARGIN, "the next box is drawn round what is left"


def test_whoever_draws_a_box_on_a_slice_means_all_that_is_in_it():
    items = run(Segment((box(2, 8, key=5),)), ScriptedParts(beside))
    assert all(item.mask[:, 130:].any() for item in items)


def test_a_box_that_was_drawn_on_a_slice_is_no_fence():
    items = run(Segment((box(2, 6, key=4),)), Scripted(lambda _: (10, 20, 240, 250)))
    assert items[0].box.y1 == 240


def test_a_side_that_moves_faster_than_anatomy_is_held_back():
    """At a slice, the mask leaks: the next box follows by a voxel a side, not by eighty."""
    answer = Scripted(lambda z: (60, 70, 140, 160) if z < 6 else (60, 70, 230, 250))
    drawn = (60 - MARGIN, 70 - MARGIN, 140 + MARGIN, 160 + MARGIN)
    run(Segment((box(4, 9, 4, drawn),)), answer)
    assert answer.asked[6] == list(drawn)
    assert answer.asked[7][2] == answer.asked[6][2] + 1
    assert answer.asked[8][3] == answer.asked[6][3] + 2


def test_between_key_boxes_the_box_is_interpolated_and_what_was_drawn_wins():
    answer = Scripted(lambda _: (100, 100, 110, 110))
    run(Segment((key_box(2, (40, 40, 80, 80)), key_box(6, (60, 80, 100, 120)))), answer)
    assert answer.asked[2] == [40, 40, 80, 80]
    assert answer.asked[6] == [60, 80, 100, 120]
    assert answer.asked[4] == [50, 60, 90, 100]
    assert answer.asked[3] == [45, 50, 85, 90]


def test_beyond_the_key_boxes_the_mask_gives_the_next_box():
    answer = Scripted(still)
    run(Segment((box(0, 9, key=2), key_box(6))), answer, slice_mm=50)
    assert answer.asked[7] == [60 - MARGIN, 70 - MARGIN, 140 + MARGIN, 160 + MARGIN]


@pytest.mark.parametrize("step", [1, 2, 4])
def test_an_object_ends_where_its_mask_does(step):
    answer = Scripted(lambda z: still(z) if z < 6 else None)
    items = {item.index: item for item in run(Segment((box(0, 12, key=2),)), answer, step)}
    assert max(items) <= 6 + step - 1
    assert all(items[z].area for z in range(6))
    assert not items[6].area
    assert items[6].reason
    assert items[5].source == "predicted"


def test_behind_an_end_the_next_key_box_is_asked_all_the_same():
    answer = Scripted(lambda z: None if z == 5 else still(z))
    items = {item.index: item for item in run(Segment((key_box(2), key_box(8))), answer)}
    assert not items[5].area
    assert items[8].area


def test_between_key_boxes_an_object_does_not_end():
    """Whoever drew both says that it goes on, even where the network sees it on neither."""
    answer = Scripted(lambda z: still(z) if z in (4, 5) else None)
    items = {item.index: item for item in run(Segment((box(0, 9, key=2), key_box(7))), answer)}
    assert sorted(items) == [2, 3, 4, 5, 6, 7]
    assert items[4].area
    assert items[5].area


def test_a_fence_says_that_there_is_something_on_every_slice():
    answer = Scripted(lambda z: None if z == 6 else still(z))
    items = {item.index: item for item in run(Segment((box(2, 8),)), answer)}
    assert items[7].area
    assert items[8].area


def test_skipped_slices_are_filled_in():
    answer = Scripted(lambda z: (60, 70, 140 + z, 160))
    items = {item.index: item for item in run(Segment((box(0, 8, key=0),)), answer, 4)}
    assert sorted(answer.asked) == [0, 4, 8]
    assert {z for z, item in items.items() if item.source == "between"} == {1, 2, 3, 5, 6, 7}
    assert items[2].box.y1 == 142


def test_where_two_stops_disagree_the_network_is_asked_between():
    answer = Scripted(lambda z: (60, 70, 140, 160) if z < 3 else (60, 70, 90, 100))
    items = {item.index: item for item in run(Segment((box(0, 4, key=0),)), answer, 4)}
    assert sorted(answer.asked) == [0, 2, 3, 4]
    assert "size" in items[2].reason
    assert items[1].source == "between"
    assert items[3].source == "predicted"


def test_unsure_answers_are_not_filled_in_between():
    answer = Scripted(still, score=0.2)
    run(Segment((box(0, 4, key=0),)), answer, 4)
    assert sorted(answer.asked) == [0, 1, 2, 3, 4]


def test_segments_do_not_depend_on_each_other():
    def masks(segments):
        items = run(segments, Scripted(lambda z: (60 + z % 5, 70, 140, 160)), 2)
        return {(segments[i.object], i.index): (i.mask.tobytes(), i.score) for i in items}

    many = [Segment((box(2, 9),)), Segment((box(5, 30, key=7),)), Segment((key_box(3),))]
    together = masks(many)
    for one in many:
        alone = masks([one])
        assert alone == {key: value for key, value in together.items() if key[0] == one}


def test_how_many_segments_a_slice_has():
    counts = crowd([Segment((box(2, 4),)), Segment((key_box(1), key_box(3)))], 0)
    assert [counts[z] for z in range(6)] == [0, 1, 2, 2, 1, 0]


def test_boxes_of_one_segment_on_one_slice_are_a_crowd_as_those_of_many():
    four = [key_box(1, (10 * n, 10, 10 * n + 5, 20)) for n in range(4)]
    assert crowd([Segment(tuple(four))], 0) == crowd([Segment((one,)) for one in four], 0)


def test_of_many_segments_masks_come_before_all_are_answered():
    """Between two masks, the run can be cancelled."""
    answer, answered = Scripted(still), 0

    def count(asked):
        nonlocal answered
        for mask in answer(asked):
            answered += 1
            yield mask

    seen = [answered for _ in propagate([Segment((box(0, 6),))] * 50, 0, 1, (1, 1), 1.0, count)]
    assert len(seen) == 50 * 7
    assert max(np.diff(seen)) <= 2


def test_a_route_stops_at_key_slices_and_at_the_end():
    route = Route((box(0, 10, key=3), key_box(6)), 0, 4, (1.0, 1.0), 1.0)
    assert route.next_stop(3, 1) == 6
    assert route.next_stop(6, 1) == 10
    assert route.next_stop(10, 1) is None
    assert route.next_stop(3, -1) == 0
