import numpy as np
import pytest

from napari_medsam_lite.core.labelset import LabelClass
from napari_medsam_lite.io.lettering import LINE, PAPER, legend, round_length, write_number

NAMES = ["liver", "a name " * 30, "Leber, groß", "печень", "two\nlines", "\x00"]


@pytest.mark.parametrize(
    ("most", "length"), [(99, 50), (100, 100), (30, 20), (0.7, 0.5), (1.0, 1), (1999, 1000)]
)
def test_a_scale_bar_has_a_round_length(most, length):
    assert round_length(most) == pytest.approx(length)


@pytest.mark.parametrize("width", [64, 320, 1300])
def test_a_legend_is_as_wide_as_its_picture(width):
    classes = [LabelClass(n, name, (n, 200, 0)) for n, name in enumerate(NAMES, start=1)]
    strip = legend(classes, width)
    assert strip.shape[1:] == (width, 3)
    assert strip.shape[0] <= len(NAMES) * LINE + 8
    for each in classes:
        assert (strip == each.color).all(axis=2).sum() >= 100, each.name
    assert (strip[:, -1] == PAPER).all() or width == 64, "nothing is cut at the edge"


def test_no_name_needs_no_legend():
    assert legend([], 320).shape == (0, 320, 3)


def test_a_number_is_read_on_black_and_on_white():
    for grey in (0, 255):
        picture = np.full((60, 90, 3), grey, np.uint8)
        write_number(picture, "17 (key)")
        assert (picture[:30] == 255).any()
        assert (picture[:30] == 0).any()
        assert (picture[40:] == grey).all()
