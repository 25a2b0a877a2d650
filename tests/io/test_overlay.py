import imageio.v3 as iio
import numpy as np
import pytest

from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.errors import FileFormatError, UnsupportedImageError
from napari_medsam_lite.core.labelset import LabelClass, color_of
from napari_medsam_lite.core.volume import Source, Volume
from napari_medsam_lite.core.window import Limits
from napari_medsam_lite.io.overlay import draw_overlay, save_overlay, small_overlay

SHAPE = (6, 20, 30)
VOLUME = Volume(np.full(SHAPE, 40, np.int16), (3.0, 1.0, 1.0))
NONE = np.zeros(SHAPE, np.uint8)


def one_label(z=4, y=5, x=7, label=1):
    labels = NONE.copy()
    labels[z, y, x] = label
    return labels


@pytest.mark.parametrize(("axis", "shape"), [(0, (360, 540)), (1, (324, 540)), (2, (468, 520))])
def test_the_picture_is_large_and_true_to_scale(tmp_path, axis, shape):
    save_overlay(tmp_path / "o.png", VOLUME, NONE, axis=axis)
    picture = iio.imread(tmp_path / "o.png")
    assert picture.shape == (*shape, 3)
    plane = [n * s for a, (n, s) in enumerate(zip(SHAPE, VOLUME.spacing, strict=True)) if a != axis]
    assert shape[0] / shape[1] == pytest.approx(plane[0] / plane[1], rel=0.01)
    assert max(shape) >= 512


def test_the_middle_labelled_slice_is_shown(tmp_path):
    path = tmp_path / "o.png"
    assert save_overlay(path, VOLUME, NONE) == 3
    assert save_overlay(path, VOLUME, one_label(z=5)) == 5
    assert save_overlay(path, VOLUME, one_label(x=7), axis=2) == 7
    assert save_overlay(path, VOLUME, one_label(z=5), index=1) == 1


def test_labels_are_where_they_are_and_the_image_shows_elsewhere():
    picture = draw_overlay(VOLUME, one_label(label=3), [], 4, limits=Limits(0, 100))
    factor = picture.shape[0] // SHAPE[1]
    coloured = (picture != picture[:, :, :1]).any(axis=2)
    rows, columns = np.nonzero(coloured)
    assert (rows.min() // factor, rows.max() // factor) == (5, 5)
    assert (columns.min() // factor, columns.max() // factor) == (7, 7)
    assert (picture[~coloured] == 102).all()  # 40 of 0..100
    np.testing.assert_array_equal(picture[rows.min(), columns.min()], color_of(3))  # the contour


def test_boxes_are_outlined_on_their_slices_only():
    box = Box3D(2, 5, 7, 4, 9, 20)
    picture = draw_overlay(VOLUME, NONE, [box], 3)
    factor = picture.shape[0] // SHAPE[1]
    rows, columns = np.nonzero((picture != picture[:, :, :1]).any(axis=2))
    assert (rows.min(), rows.max() + 1) == (5 * factor, 10 * factor)
    assert (columns.min(), columns.max() + 1) == (7 * factor, 21 * factor)
    grey = draw_overlay(VOLUME, NONE, [box], 5)
    assert (grey == grey[:, :, :1]).all()


def test_boxes_and_labels_have_the_colours_of_their_classes():
    box, classes = Box3D(2, 5, 7, 4, 9, 20), [LabelClass(9, "spleen", (1, 2, 200))]
    picture = draw_overlay(VOLUME, one_label(label=9), [box], 4, ids=[9], classes=classes)
    factor = picture.shape[1] // SHAPE[2]
    np.testing.assert_array_equal(picture[9 * factor, 7 * factor], (1, 2, 200))  # the box
    np.testing.assert_array_equal(picture[5 * factor + 4, 8 * factor - 1], (1, 2, 200))


def test_names_stand_below_the_slice():
    classes = [LabelClass(1, "liver", (200, 0, 0)), LabelClass(2, "absent", (0, 0, 200))]
    plain = draw_overlay(VOLUME, one_label(), [], 4)
    named = draw_overlay(VOLUME, one_label(), [], 4, classes=classes)
    strip = named[plain.shape[0] :].astype(int)
    assert (strip == (200, 0, 0)).all(axis=2).any()
    assert not (strip == (0, 0, 200)).all(axis=2).any()
    assert (strip.min(axis=2) > 200).any(), "the name"


@pytest.mark.parametrize("signs", [(1, 1), (1, -1), (-1, 1), (-1, -1)])
def test_placed_images_have_the_front_up_and_the_right_side_left(tmp_path, signs):
    rows, columns = signs  # +1: towards the front or the right, so it is turned round
    affine = np.diag([3.0, rows, columns, 1])
    volume = Volume(VOLUME.data, VOLUME.spacing, affine, source=Source(tmp_path / "ct.nii"))
    box = Box3D(0, 0, 0, 5, 3, 3)
    for labels, boxes in ((one_label(y=0, x=0), []), (NONE, [box])):
        picture = draw_overlay(volume, labels, boxes, 4)
        y, x = np.nonzero((picture != picture[:, :, :1]).any(axis=2))
        assert (y.mean() > picture.shape[0] / 2) == (rows > 0)
        assert (x.mean() > picture.shape[1] / 2) == (columns > 0)


def test_a_small_picture_keeps_its_colours():
    rng = np.random.default_rng(0)
    volume = Volume(rng.integers(0, 256, (1, 320, 320)).astype(np.uint8))
    labels = np.zeros((320, 320), np.uint8)
    for label in range(1, 9):
        labels[label * 30 : label * 30 + 20, 20:300] = label
    png = small_overlay(volume, labels, 0, [], axis=0, limits=Limits(0, 255))
    assert len(png) < 90_000
    picture = iio.imread(png).astype(int)
    for label in range(1, 9):
        edge = picture[label * 30, 30:290]
        assert np.abs(edge - color_of(label)).max() <= 12, label


def test_a_colour_image(tmp_path):
    image = np.full((1, 8, 9, 3), (10, 20, 30), np.uint8)
    picture = draw_overlay(Volume(image), np.zeros((1, 8, 9), int), [], 0)
    assert (picture == (10, 20, 30)).all()


def test_wrong_use_gets_one_sentence(tmp_path):
    path = tmp_path / "o.png"
    with pytest.raises(UnsupportedImageError, match="do not fit"):
        save_overlay(path, VOLUME, NONE[:2])
    with pytest.raises(UnsupportedImageError, match="no slice 6; they go from 0 to 5"):
        save_overlay(path, VOLUME, NONE, index=6)
    with pytest.raises(UnsupportedImageError, match="no slice -1"):
        save_overlay(path, VOLUME, NONE, index=-1)
    with pytest.raises(UnsupportedImageError, match="NaN"):
        save_overlay(path, Volume(np.full(SHAPE, np.nan)), NONE)
    with pytest.raises(FileFormatError, match=r"end with \.png"):
        save_overlay(tmp_path / "o.jpg", VOLUME, NONE)
    with pytest.raises(FileFormatError, match="folder does not exist"):
        save_overlay(tmp_path / "no" / "o.png", VOLUME, NONE)
    assert not list(tmp_path.iterdir())
