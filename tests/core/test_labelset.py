"""Names, colours and codes of labels."""

from __future__ import annotations

import colorsys
import itertools

import numpy as np
import pytest

from napari_medsam_lite.core.labelset import (
    BUILT_IN,
    Code,
    LabelClass,
    LabelSet,
    class_named,
    color_of,
    in_one_line,
)

# Linear RGB as the two common kinds of colour-blindness see it (Machado et al. 2009, complete).
SEEN_BY = {
    "everybody": np.eye(3),
    "protanopes": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopes": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}


def test_total_segmentator_is_numbered_as_in_its_own_files():
    classes = BUILT_IN["TotalSegmentator"].classes
    assert [each.number for each in classes] == list(range(1, 118))
    at = {each.number: each.name for each in classes}
    # Rows of a label file that TotalSegmentator made.
    known = {
        1: "spleen",
        5: "liver",
        8: "adrenal_gland_right",
        20: "colon",
        33: "vertebrae_T11",
        52: "aorta",
        64: "portal_vein_and_splenic_vein",
        70: "humerus_right",
        79: "spinal_cord",
        87: "autochthon_right",
        97: "rib_left_6",
        115: "rib_right_12",
        117: "costal_cartilages",
    }
    assert {number: at[number] for number in known} == known
    assert len(set(at.values())) == 117


def test_codes_are_well_formed_and_the_sides_agree_with_the_names():
    for each in BUILT_IN["TotalSegmentator"].classes:
        if each.code is None:
            assert each.name.startswith("kidney_cyst")
            continue
        assert each.code.scheme == "SCT" and each.code.meaning
        assert has_snomed_check_digit(each.code.value), each
        if each.code.modifier is not None:
            assert each.code.modifier.meaning.casefold() in each.name.split("_")
            assert has_snomed_check_digit(each.code.modifier.value)
    assert len({each.code for each in BUILT_IN["TotalSegmentator"].classes}) == 116


def has_snomed_check_digit(value: str) -> bool:
    """Verhoeff's check, which SNOMED identifiers end with; catches every single wrong digit."""
    turn = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]
    permuted = [list(range(10)), turn]
    while len(permuted) < 8:
        permuted.append([permuted[-1][turn[i]] for i in range(10)])
    state = 0
    for place, digit in enumerate(reversed(value)):
        state = dihedral(state, permuted[place % 8][int(digit)])
    return state == 0


def dihedral(a: int, b: int) -> int:
    """The product in the group of a pentagon's turns (0..4) and reflections (5..9)."""
    turn = (a + b) % 5 if a < 5 else (a - b) % 5
    return turn + 5 * ((a < 5) != (b < 5))


def test_the_13_abdominal_organs_come_in_the_order_of_flare():
    abdomen = BUILT_IN["abdomen"]
    assert abdomen.names[:3] == ("liver", "right kidney", "spleen")
    assert abdomen.names[-1] == "left kidney"
    assert [each.number for each in abdomen.classes] == list(range(1, 14))
    assert all(each.code for each in abdomen.classes)
    assert BUILT_IN["free"].classes == ()


@pytest.mark.parametrize("name", ["left kidney", "Left_Kidney", "LEFT-KIDNEY", "  left  kidney "])
def test_a_class_is_found_whatever_its_spelling(name: str):
    found = BUILT_IN["abdomen"].named(name)
    assert found is not None and found.number == 13
    assert found.code == Code("SCT", "64033007", "Kidney", Code("SCT", "7771000", "Left"))


def test_a_name_that_is_not_there_is_not_found():
    assert BUILT_IN["abdomen"].named("kidney") is None
    assert BUILT_IN["free"].named("liver") is None
    umlauts = LabelSet("eigene", (LabelClass(1, "Gefäß groß", (1, 2, 3)),))
    assert umlauts.named("GEFÄSS_GROSS") is umlauts.classes[0]


def test_a_name_that_is_known_has_its_code():
    code = Code("SCT", "64033007", "Kidney", Code("SCT", "7771000", "Left"))
    assert class_named(3, "Left kidney") == LabelClass(3, "Left kidney", color_of(3), code)
    assert class_named(4, "kidney_left").code == class_named(3, "left kidney").code
    assert class_named(2, "tumour") == LabelClass(2, "tumour", color_of(2))


def test_a_colour_stays_and_is_visible_on_ct():
    for number in range(1, 2000):
        color = color_of(number)
        assert color == color_of(number)
        assert all(0 <= part <= 255 for part in color)
        _, lightness, saturation = colorsys.rgb_to_hls(*(part / 255 for part in color))
        assert 0.2 < lightness < 0.8 and saturation > 0.4
        assert max(color) - min(color) > 60  # no grey


@pytest.mark.parametrize("who", SEEN_BY)
def test_the_colours_of_one_case_can_be_told_apart(who: str):
    seen = [simulated(color_of(number), np.asarray(SEEN_BY[who])) for number in range(1, 14)]
    closest = min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2))
    assert closest > 14  # CIE 1976; two fields side by side differ visibly from about 2.3


def test_neighbours_of_a_long_list_differ():
    for number in range(1, 300):
        a, b = np.asarray(color_of(number)), np.asarray(color_of(number + 1))
        assert np.abs(a - b).max() > 40


def simulated(color: tuple[int, int, int], matrix: np.ndarray) -> np.ndarray:
    """CIELAB of a colour as somebody sees it."""
    from skimage.color import rgb2lab

    srgb = np.asarray(color) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(matrix @ linear, 0, 1)
    back = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return rgb2lab(back)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("two\nlines", "two lines"),
        ("  a \x1b  b\x00", "a b"),
        ("\u0000", "label 3"),
        ('Gefäß, "groß"', 'Gefäß, "groß"'),
        ("क्‍ष", "क्‍ष"),
    ],
)
def test_a_name_becomes_one_line(name: str, kept: str):
    assert in_one_line(LabelClass(3, name, (1, 2, 3))) == LabelClass(3, kept, (1, 2, 3))
