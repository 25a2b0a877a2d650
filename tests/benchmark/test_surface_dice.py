import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_medsam_lite.benchmark.surface_dice import _areas, normalised_surface_dice

ISOTROPIC = (1.0, 1.0, 1.0)
SPACINGS = st.sampled_from([ISOTROPIC, (3.0, 0.7, 0.7), (0.8, 1.5, 2.5)])
PAIRS = arrays(bool, st.tuples(st.just(2), *[st.integers(1, 5)] * 3))


def cube(start, side=6, shape=(20, 20, 20)):
    mask = np.zeros(shape, bool)
    mask[tuple(slice(low, low + side) for low in start)] = True
    return mask


def test_one_voxel_of_1_mm_is_within_2_mm():
    assert normalised_surface_dice(cube((4, 4, 4)), cube((5, 4, 4)), ISOTROPIC) == 1


def test_far_apart_nothing_is_met():
    assert normalised_surface_dice(cube((1, 1, 1)), cube((12, 12, 12)), ISOTROPIC) == 0


def test_the_spacing_decides():
    a, along_z, along_x = cube((4, 4, 4)), cube((5, 4, 4)), cube((4, 4, 5))
    thick = (3.0, 1.0, 1.0)
    assert normalised_surface_dice(a, along_x, thick) == 1
    assert 0.5 < normalised_surface_dice(a, along_z, thick) < 1
    assert normalised_surface_dice(a, along_z, thick, tolerance=3) == 1


def test_the_share_is_of_area():
    """Long bars whose ends lie apart: all is met but the 5 mm of one beyond the other."""
    short, long = np.zeros((3, 3, 100), bool), np.zeros((3, 3, 100), bool)
    short[1, 1, :60], long[1, 1, :67] = True, True
    assert normalised_surface_dice(short, long, ISOTROPIC) == pytest.approx(
        1 - (67 - 60 - 2) / (67 + 60), abs=0.01
    )


def test_a_missing_mask():
    empty = np.zeros((20, 20, 20), bool)
    assert normalised_surface_dice(empty, empty, ISOTROPIC) == 1
    assert normalised_surface_dice(empty, cube((4, 4, 4)), ISOTROPIC) == 0


def test_a_mask_at_the_border_of_the_volume_has_a_surface_there():
    full = np.ones((4, 4, 4), bool)
    half = full.copy()
    half[2:] = False
    assert normalised_surface_dice(full, half, (10.0, 1.0, 1.0)) < 1


def test_areas_of_known_neighbourhoods():
    areas = _areas((3.0, 2.0, 1.0))
    assert areas[0] == areas[255] == 0
    assert areas[0b00001111] == pytest.approx(2.0)  # a face across z: 2 x 1 mm
    assert areas[0b01010101] == pytest.approx(6.0)  # across x: 3 x 2 mm
    corner = 0.125 * np.linalg.norm([2.0, 3.0, 6.0])
    assert areas[1] == areas[254] == pytest.approx(corner)


def test_a_cube_of_voxels_has_about_its_area():
    """Edges are cut at an angle and corners too, so it is a little less."""
    codes_areas = _areas(ISOTROPIC)
    face, edge, corner = codes_areas[0b1111], codes_areas[0b11], codes_areas[1]
    total = 6 * 9 * 9 * face + 12 * 9 * edge + 8 * corner
    assert 0.94 * 600 < total < 600


@given(PAIRS, SPACINGS)
def test_symmetric_and_between_0_and_1(pair, spacing):
    a, b = pair
    forth, back = normalised_surface_dice(a, b, spacing), normalised_surface_dice(b, a, spacing)
    assert forth == pytest.approx(back)
    assert 0 <= forth <= 1
    assert normalised_surface_dice(a, a, spacing) == 1


@given(PAIRS, SPACINGS)
def test_more_tolerance_never_meets_less(pair, spacing):
    a, b = pair
    values = [normalised_surface_dice(a, b, spacing, tolerance) for tolerance in (0, 1, 2, 5)]
    assert values == sorted(values)


@given(PAIRS, st.integers(0, 3))
def test_empty_space_round_it_changes_nothing(pair, margin):
    a, b = pair
    wide = [np.pad(mask, margin) for mask in (a, b)]
    assert normalised_surface_dice(*wide, ISOTROPIC) == normalised_surface_dice(a, b, ISOTROPIC)
