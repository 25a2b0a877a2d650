import imageio.v3 as iio
import numpy as np
import pytest

from napari_medsam_lite.core.boxes import Box2D
from napari_medsam_lite.core.errors import MedSAMLiteError

BOX = Box2D(2, 3, 12, 16)


@pytest.fixture
def save(session, tmp_path, finish):
    def save(what):
        path = tmp_path / f"{what}.png"
        session.pictures.save(path, what)
        finish()
        return iio.imread(path) if path.exists() else None

    return save


def colour_of(session):
    return session.state.segmentation.segments[0].color


def test_the_slice_shown_is_drawn_with_boxes_and_names(session, image, viewer, draw, save):
    draw(BOX, index=4)
    session.segments.rename(1, "liver")
    viewer.dims.set_current_step(0, 4)
    with_box = save("slice")
    assert (with_box == colour_of(session)).all(axis=2).any()
    viewer.dims.set_current_step(0, 2)
    height = with_box.shape[0] - 30  # without the legend
    assert not (save("slice")[:height] == colour_of(session)).all(axis=2).any()


def test_a_montage_has_the_masks(session, image, viewer, draw, finish, save):
    draw(BOX)
    viewer.dims.set_current_step(0, 4)
    session.run_actions.segment_volume()
    finish()
    montage, keys = save("montage"), save("key slices")
    assert montage.shape[1] > 2 * keys.shape[1]
    assert (montage == colour_of(session)).all(axis=2).sum() > 1000


def test_the_other_axes_and_flat_images(session, image, viewer, draw, save):
    viewer.dims.order = (1, 0, 2)
    draw(Box2D(1, 4, 6, 20), axis=1, index=9)
    viewer.dims.set_current_step(1, 9)
    height, width = save("slice").shape[:2]
    assert width / (height - 30) == pytest.approx(30 * 0.8 / (8 * 3), abs=0.03)
    session.state.image = viewer.add_image(np.zeros((40, 60), np.uint8), name="flat")
    viewer.dims.order = (0, 1, 2)
    assert save("slice").shape == (360, 540, 3)


def test_no_key_slice_is_told(session, image, viewer, save):
    assert save("key slices") is None
    assert "no key slice" in session.state.message
    assert session.state.is_problem


def test_no_image_is_told(session, tmp_path):
    with pytest.raises(MedSAMLiteError, match="no image"):
        session.pictures.save(tmp_path / "a.png", "slice")
