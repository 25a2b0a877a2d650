"""Labels in their place, and onto the grid of another file of the same image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from napari_medsam_lite.core.errors import UnsupportedImageError
from napari_medsam_lite.core.label_volume import LabelVolume, classes_in, on_grid_of
from napari_medsam_lite.core.labelset import LabelClass, color_of
from napari_medsam_lite.core.volume import Volume

SHAPE = (4, 5, 6)


@st.composite
def affines(draw):
    """Oblique or straight, anisotropic, with an offset."""
    angles = draw(st.one_of(st.just((0, 0, 0)), st.tuples(*[st.floats(-180, 180)] * 3)))
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    affine[:3, :3] *= draw(st.tuples(*[st.floats(0.3, 8)] * 3))
    affine[:3, 3] = draw(st.tuples(*[st.floats(-500, 500)] * 3))
    return affine


def spacing_of(affine):
    return tuple(np.linalg.norm(affine[:3, :3], axis=0))


@settings(deadline=None)
@given(
    affine=affines(),
    axes=st.permutations(range(3)),
    flips=st.tuples(*[st.booleans()] * 3),
    crop=st.tuples(*[st.integers(0, 2)] * 3),
)
def test_labels_come_back_from_another_order_of_axes(affine, axes, flips, crop):
    image = Volume(np.zeros(SHAPE, np.int16), spacing_of(affine), affine)
    wanted = np.zeros(SHAPE, np.uint16)
    wanted[tuple(slice(c, None) for c in crop)] = 700 + np.arange(
        np.prod(np.subtract(SHAPE, crop))
    ).reshape(np.subtract(SHAPE, crop))

    part = wanted[tuple(slice(c, None) for c in crop)].transpose(axes)
    part = part[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]
    index = np.eye(4)  # from the part's index to the image's
    index[:3, :3] = np.eye(3)[list(axes)].T
    index[:3, 3] = crop
    turned = np.eye(4)
    for axis, flip in enumerate(flips):
        if flip:
            turned[axis, axis], turned[axis, 3] = -1, part.shape[axis] - 1
    place = affine @ index @ turned
    labels = LabelVolume(part, spacing_of(place), place, "labels")
    np.testing.assert_array_equal(on_grid_of(labels, image), wanted)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda a: a + np.diag([0.1, 0, 0, 0]), "do not lie on the voxels"),
        (lambda a: np.block([[a[:, :3], a[:, 3:] + [[0.3], [0], [0], [0]]]]), "do not lie"),
        (lambda a: np.block([[a[:, :3], a[:, 3:] + [[1.0], [0], [0], [0]]]]), "lie outside"),
        (lambda a: np.block([[a[:, :3], a[:, 3:] + [[90.0], [0], [0], [0]]]]), "lie outside"),
        (lambda a: a * [2, 1, 1, 1], "do not lie"),
    ],
)
def test_labels_of_another_image_are_refused(change, sentence):
    image = Volume(np.zeros(SHAPE, np.int16))
    place = change(image.affine)
    labels = LabelVolume(np.ones(SHAPE, np.uint8), spacing_of(place), place, "labels")
    with pytest.raises(UnsupportedImageError, match=sentence):
        on_grid_of(labels, image)


def test_background_may_reach_outside():
    image = Volume(np.zeros(SHAPE, np.int16))
    data = np.zeros((9, 9, 9), np.uint8)
    data[3, 2, 1] = 4
    place = image.affine.copy()
    place[:3, 3] = -1
    placed = on_grid_of(LabelVolume(data, (1, 1, 1), place), image)
    assert placed[2, 1, 0] == 4 and placed.sum() == 4


def test_labels_are_whole_numbers():
    with pytest.raises(UnsupportedImageError, match="whole numbers"):
        LabelVolume(np.zeros(SHAPE, np.float32))


def test_every_number_with_a_voxel_has_a_class():
    liver = LabelClass(5, "liver", (1, 2, 3))
    absent = LabelClass(6, "spleen", (4, 5, 6))
    data = np.array([[[0, 9, 5, 5]]], np.uint8)
    assert classes_in(data, (absent, liver)) == (liver, LabelClass(9, "label 9", color_of(9)))
