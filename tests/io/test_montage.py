import imageio.v3 as iio
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.errors import FileFormatError, UnsupportedImageError
from napari_medsam_lite.core.labelset import LabelClass, color_of
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.io.drawing import shape_within
from napari_medsam_lite.io.montage import MOST, key_slices, montage_slices, save_montage

SHAPE = (20, 50, 60)
VOLUME = Volume(np.full(SHAPE, 40, np.int16), (3.0, 1.0, 1.0))


def labels(first=4, last=15):
    found = np.zeros(SHAPE, np.uint8)
    found[first : last + 1, 10:20, 10:20] = 1
    return found


def key(z):
    return Box3D(z, 5, 5, z, 25, 25, key=z)


def test_slices_are_evenly_chosen_and_key_slices_are_among_them():
    assert montage_slices(labels(4, 15), [], 0) == list(range(4, 16))
    chosen = montage_slices(labels(0, 19), [key(6)], 0)
    assert len(chosen) == 12
    assert {0, 6, 19} <= set(chosen)
    assert montage_slices(labels(4, 15), [key(17)], 0)[-1] == 17
    assert montage_slices(labels(3, 3), [], 0) == [3]
    assert len(montage_slices(np.zeros(SHAPE, np.uint8), [], 0)) == 12


@given(st.lists(st.integers(0, 299)), st.integers(0, 299), st.integers(1, 100))
def test_there_are_never_too_many(keys, first, length):
    found = np.zeros((300, 1, 1), np.uint8)
    found[first : first + length] = 1
    chosen = montage_slices(found, [key(z) for z in keys], 0)
    assert chosen == sorted(set(chosen))
    assert 1 <= len(chosen) <= MOST
    assert set(keys) <= set(chosen) or len(set(keys)) > MOST - 12


def test_key_slices_are_those_that_boxes_were_drawn_on():
    assert key_slices([key(7), key(3), key(7), Box3D(0, 0, 0, 8, 9, 9)], 0) == [3, 4, 7]
    assert key_slices([Box3D(0, 0, 0, 8, 20, 9)], 1) == [10]


def test_a_montage_shows_its_slices_with_names(tmp_path):
    path, classes = tmp_path / "m.png", [LabelClass(1, "liver", (200, 0, 0))]
    assert save_montage(path, VOLUME, labels(), [key(5)], [5, 9, 18], classes=classes) == [5, 9, 18]
    height, width = shape_within(VOLUME, 0, 300 * np.sqrt(60 / 50))
    picture = iio.imread(path)
    red = (picture == (200, 0, 0)).all(axis=2)
    tiles = [red[:height, place * (width + 4) :][:, :width].sum() for place in range(3)]
    assert tiles[0] > tiles[1] > 0, "the box is on its key slice only"
    assert tiles[2] == 0
    assert red[height:].sum() == 144, "the legend"


def scale_bar(picture):
    """The length in pixels of the longest white line."""
    white = (picture == 255).all(axis=2)
    return max(
        max(map(len, "".join("x" if on else " " for on in row).split()), default=0) for row in white
    )


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("spacing", [(3.0, 1.0, 1.0), (0.5, 2.0, 0.7), (5.0, 0.8, 0.8)])
def test_the_scale_bar_is_true(tmp_path, axis, spacing):
    """It is as long as a box of that many millimetres."""
    volume = Volume(np.full(SHAPE, -2000, np.int16), spacing)
    save_montage(tmp_path / "m.png", volume, np.zeros(SHAPE, np.uint8), [], [5], axis=axis)
    picture = iio.imread(tmp_path / "m.png")
    sizes = [n * s for a, (n, s) in enumerate(zip(SHAPE, spacing, strict=True)) if a != axis]
    for pixels, mm in zip(picture.shape, sizes, strict=False):
        length = scale_bar(picture) * mm / pixels
        step = 10 ** np.floor(np.log10(length * 1.05))
        assert min(abs(length - digit * step) for digit in (1, 2, 5, 10)) < 2.5 * mm / pixels


def test_labels_without_a_name_have_the_colour_of_their_number(tmp_path):
    save_montage(tmp_path / "m.png", VOLUME, labels() * 3, [], [5])
    picture = iio.imread(tmp_path / "m.png")
    assert (picture == color_of(3)).all(axis=2).any()


def test_a_thin_slab_fills_its_picture(tmp_path):
    volume = Volume(np.zeros((4, 50, 600), np.int16))
    save_montage(tmp_path / "m.png", volume, np.zeros(volume.shape, np.uint8), [], axis=1)
    assert iio.imread(tmp_path / "m.png").shape[1] == 640


def test_wrong_use_gets_one_sentence(tmp_path):
    with pytest.raises(FileFormatError, match=r"end with \.png"):
        save_montage(tmp_path / "m.gif", VOLUME, labels())
    with pytest.raises(UnsupportedImageError, match="no slice 20; they go from 0 to 19"):
        save_montage(tmp_path / "m.png", VOLUME, labels(), indices=[3, 20])
    with pytest.raises(UnsupportedImageError, match="do not fit"):
        save_montage(tmp_path / "m.png", VOLUME, labels()[:3])
    assert not list(tmp_path.iterdir())
