import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.errors import PromptError
from napari_medsam_lite.core.labelset import color_of
from napari_medsam_lite.core.segmentation import (
    UNLIKE,
    Segment,
    Segmentation,
    count_slices,
    group_by_label,
    number_names,
)


def box(first, last, key=None):
    return Box3D(first, 50, 60, last, 150, 170, key)


def test_key_boxes_make_one_track_and_fences_one_each():
    segment = Segment((box(4, 4), box(0, 9), box(9, 9), box(0, 20, key=6), box(30, 40)))
    assert segment.tracks(0) == [
        (box(0, 9),),
        (box(30, 40),),
        (box(4, 4), box(9, 9), box(0, 20, key=6)),
    ]


def test_two_key_boxes_on_one_slice_are_two_parts():
    left, right = Box3D(4, 0, 0, 4, 9, 9), Box3D(4, 30, 30, 4, 39, 39)
    assert Segment((left, right, box(9, 9))).tracks(0) == [(left,), (right, box(9, 9))]


def test_a_key_box_belongs_to_the_part_that_it_lies_nearest_to():
    """Whatever part was drawn first on the next slice: masks must not cross over."""

    def part(index, start):
        return Box3D(index, start, start, index, start + 9, start + 9)

    boxes = (part(4, 0), part(4, 30), part(8, 31), part(8, 1))
    assert Segment(boxes).tracks(0) == [(boxes[0], boxes[3]), (boxes[1], boxes[2])]


def test_the_extent_of_all_boxes():
    segment = Segment((box(4, 4), box(9, 12, key=10)))
    assert segment.extent(0) == (4, 12)
    assert segment.extent(1) == (50, 150)
    assert count_slices([segment, Segment((box(2, 9), box(5, 5)))], 0) == 9 + 8 + 1


def test_what_lies_outside_is_told():
    with pytest.raises(PromptError, match="outside the volume"):
        Segment((box(4, 4), box(20, 21))).clip((10, 200, 200), 0)
    with pytest.raises(PromptError, match="no box of liver; draw one"):
        Segment((), "liver").clip((10, 200, 200), 0)


def test_boxes_of_one_label_belong_together_in_order_of_appearance():
    labels, segments = group_by_label([box(1, 1), box(2, 2), box(3, 3)], [7, 2, 7])
    assert labels == [7, 2]
    assert segments == [Segment((box(1, 1), box(3, 3))), Segment((box(2, 2),))]
    assert group_by_label([box(1, 1), box(2, 2)])[0] == [1, 2]


def test_boxes_without_a_name_are_objects_of_their_own():
    assert number_names(["liver", "", "spleen", "liver", ""]) == (1, 2, 3, 1, 4)


@given(st.lists(st.sampled_from(["", "a", "b"])))
def test_numbers_of_names_are_the_labels_in_order(names):
    numbers = number_names(names)
    assert sorted(set(numbers)) == list(range(1, len(set(numbers)) + 1))
    for name, number in zip(names, numbers, strict=True):
        assert not name or number == numbers[names.index(name)]
        assert name or numbers.count(number) == 1


def test_a_new_segment_has_a_colour_unlike_the_others():
    segmentation = Segmentation().begin()
    taken = replace(segmentation.segments[0], color=color_of(2))
    segmentation = segmentation.put(taken).begin()
    assert segmentation.current_segment.number == 2
    assert math.dist(segmentation.current_segment.color, color_of(2)) >= UNLIKE
    for _ in range(60):
        segmentation = segmentation.begin()
    assert len(segmentation.segments) == 62


def test_segments_begin_are_put_and_dropped():
    segmentation = Segmentation().begin(taken=4).begin()
    assert [each.number for each in segmentation.segments] == [5, 6]
    named = replace(segmentation.get(5), name="liver", locked=True)
    segmentation = segmentation.put(named)
    assert segmentation.get(5).title == "liver"
    assert segmentation.get(6).title == "Segment 6"
    assert segmentation.locked == {5}
    assert segmentation.drop(6).current == 5
    assert segmentation.drop(5).current == 6
    assert segmentation.drop(5).drop(6) == Segmentation()


def test_undo_leaves_eyes_and_locks_alone():
    before = Segmentation().begin().begin()
    now = before.put(replace(before.get(1), name="liver", visible=False, locked=True))
    seen = before.seen_as(replace(now, current=1))
    assert (seen.get(1).name, seen.get(1).visible, seen.get(1).locked) == ("", False, True)
    assert seen.current == 1
