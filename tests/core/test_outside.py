import numpy as np
import pytest

from napari_medsam_lite.core.outside import outside_window
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.core.window import AS_STORED, BLACK_AND_WHITE, WINDOWS, Limits

ABDOMEN, BONE = Limits(-160, 240), Limits(-500, 1300)


def boxed(inside, rim=40, size=(40, 60)):
    """A box with `inside` in its middle and other tissue at its rim."""
    values = np.full(size, rim, np.int16)
    values[5:-5, 5:-5] = np.random.default_rng(0).normal(inside, 30, (size[0] - 10, size[1] - 10))
    return values


@pytest.mark.parametrize(
    ("inside", "limits", "words"),
    [
        (-850, ABDOMEN, "plain black, so the network cannot see it; choose lung (level -600, "),
        (900, ABDOMEN, "plain white, so the network cannot see it; choose bone (level 400, "),
        (5000, ABDOMEN, "plain white, so the network cannot see it; choose another window."),
        (30, Limits(-1350, -200), "choose abdomen (level 40, width 400)."),
    ],
)
def test_what_cannot_be_seen_is_told_with_a_window_that_shows_it(inside, limits, words):
    sentence = outside_window(boxed(inside), limits)
    assert words in sentence
    assert sentence.endswith(".") and sentence.count(".") == 1


@pytest.mark.parametrize(
    ("inside", "limits"), [(60, ABDOMEN), (-850, Limits(-1350, 150)), (900, BONE), (-120, ABDOMEN)]
)
def test_nothing_is_said_of_what_can_be_seen(inside, limits):
    assert outside_window(boxed(inside), limits) is None


def test_gas_in_part_of_an_organ_is_no_matter():
    values = boxed(60)
    values[10:25] = -900
    assert outside_window(values, ABDOMEN) is None


def test_black_and_white_as_stored_are_values_like_others():
    assert outside_window(np.zeros((20, 20), np.uint8), AS_STORED) is None
    assert outside_window(np.ones((20, 20), bool), BLACK_AND_WHITE) is None


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 2), (3, 2)])
def test_small_boxes(size):
    assert outside_window(np.full(size, 40), ABDOMEN) is None
    assert outside_window(np.full(size, -900), ABDOMEN) is not None


def test_a_lung_in_the_window_that_is_named_is_seen():
    lung = boxed(-850)
    limits = WINDOWS["lung"].fit(Volume(lung[None]))
    assert outside_window(lung, limits) is None
