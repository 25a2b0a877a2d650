import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hn

from napari_medsam_lite.core.boxes import Box2D, Box3D, WorldBox, tight_box
from napari_medsam_lite.core.errors import PromptError

corner = st.integers(-10, 30)
shape3 = st.tuples(*[st.integers(2, 20)] * 3)
axes = st.integers(0, 2)


@st.composite
def boxes2d(draw):
    y0, y1 = sorted((draw(corner), draw(corner)))
    x0, x1 = sorted((draw(corner), draw(corner)))
    return Box2D(y0, x0, y1, x1)


@given(boxes2d(), st.integers(2, 20), st.integers(2, 20))
def test_a_clipped_box_lies_inside_and_is_the_overlap(box, height, width):
    try:
        clipped = box.clip(height, width)
    except PromptError:
        rows = range(max(box.y0, 0), min(box.y1, height - 1) + 1)
        columns = range(max(box.x0, 0), min(box.x1, width - 1) + 1)
        assert len(rows) < 2 or len(columns) < 2
        return
    assert 0 <= clipped.y0 < clipped.y1 < height
    assert 0 <= clipped.x0 < clipped.x1 < width
    assert clipped == clipped.clip(height, width)
    assert (clipped.y0, clipped.x1) == (max(box.y0, 0), min(box.x1, width - 1))


@pytest.mark.parametrize(
    ("box", "sentence"),
    [
        (Box2D(5, 5, 5, 9), "no area"),
        (Box2D(5, 9, 8, 5), "no area"),
        (Box2D(20, 0, 30, 5), "outside the slice of 10 x 12"),
        (Box2D(-9, -9, -1, 5), "outside"),
        (Box2D(9, 0, 20, 5), "at its edge only"),
    ],
)
def test_bad_boxes_get_one_sentence(box, sentence):
    with pytest.raises(PromptError, match=sentence) as caught:
        box.clip(10, 12)
    assert "\n" not in str(caught.value)


@given(boxes2d(), axes, corner, corner)
def test_a_plane_becomes_a_box_and_back(plane, axis, first, last):
    box = Box3D.from_plane(plane, axis, first, last, key=3)
    assert box.plane(axis) == plane
    assert box.extent(axis) == (first, last)
    assert box.key == 3


def test_the_axes_are_those_of_the_array():
    box = Box3D(1, 2, 3, 4, 5, 6)
    assert box.extent(0) == (1, 4)
    assert box.plane(0) == Box2D(2, 3, 5, 6)
    assert box.plane(1) == Box2D(1, 3, 4, 6)
    assert box.plane(2) == Box2D(1, 2, 4, 5)


@given(boxes2d(), axes, corner, corner, corner, shape3)
def test_clipping_in_3d_keeps_the_key_inside(plane, axis, first, last, key, shape):
    assume(first <= last)
    try:
        box = Box3D.from_plane(plane, axis, first, last, key).clip(shape, axis)
    except PromptError:
        return
    low, high = box.extent(axis)
    assert 0 <= low <= box.key <= high < shape[axis]
    height, width = (n for a, n in enumerate(shape) if a != axis)
    assert box.plane(axis) == plane.clip(height, width)


@pytest.mark.parametrize(
    ("box", "sentence"),
    [
        (Box3D(5, 0, 0, 4, 9, 9), "ends at slice 4, before it starts at slice 5"),
        (Box3D(10, 0, 0, 12, 9, 9), r"slices 10\.\.12, outside the volume's 0\.\.9"),
        (Box3D(-5, 0, 0, -1, 9, 9), "outside"),
        (Box3D(0, 4, 4, 9, 4, 9), "no area"),
    ],
)
def test_bad_3d_boxes_get_one_sentence(box, sentence):
    with pytest.raises(PromptError, match=sentence):
        box.clip((10, 10, 10), 0)


@given(boxes2d(), st.integers(2, 20), st.integers(2, 20))
def test_the_tight_box_of_a_filled_box_is_the_box(box, height, width):
    mask = np.zeros((height, width), bool)
    try:
        inside = box.clip(height, width)
    except PromptError:
        return
    mask[inside.y0 : inside.y1 + 1, inside.x0 : inside.x1 + 1] = True
    assert tight_box(mask) == inside


def test_an_empty_mask_has_no_box():
    assert tight_box(np.zeros((4, 5), bool)) is None
    one = np.zeros((4, 5), bool)
    one[2, 3] = True
    assert tight_box(one) == Box2D(2, 3, 2, 3)


@pytest.mark.parametrize(
    ("box", "axis", "words"),
    [
        (Box3D(0, 90, 1, 3, 95, 2), 0, "x 1..2, y 90..95"),
        (Box3D(70, 0, 1, 80, 3, 2), 1, "x 1..2, z 70..80"),
        (Box3D(1, 90, 0, 2, 95, 3), 2, "y 90..95, z 1..2"),
    ],
)
def test_messages_name_the_axes_of_the_slices(box, axis, words):
    with pytest.raises(PromptError, match=f"The box {words} lies outside"):
        box.clip((50, 50, 50), axis)


@given(
    hn.arrays(np.int64, (2, 3), elements=st.integers(0, 40)),
    st.permutations([0, 1, 2]),
    st.lists(st.sampled_from([-3.0, -0.7, 0.5, 2.0]), min_size=3, max_size=3),
    st.lists(st.floats(-500, 500), min_size=3, max_size=3),
)
def test_a_box_in_millimetres_is_the_one_that_its_voxels_have(corners, order, sizes, offset):
    affine = np.eye(4)
    affine[:3, :3] = np.diag(sizes)[order]
    affine[:3, 3] = offset
    low, high = corners.min(axis=0), corners.max(axis=0)
    first, last = (affine @ [*corner, 1] for corner in (low, high))
    (z0, y0, x0), (z1, y1, x1) = first[:3], last[:3]
    found = WorldBox(x0, y0, z0, x1, y1, z1).in_voxels(affine)
    assert found == Box3D(*low.tolist(), *high.tolist())
