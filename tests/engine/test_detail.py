import pytest

from napari_medsam_lite.core.boxes import Box2D
from napari_medsam_lite.core.frame import FRAME, ModelFrame
from napari_medsam_lite.core.settings import Settings
from napari_medsam_lite.engine.detail import CLOSE_SIDE, SHARED_FROM, choose_looks, sides_of
from napari_medsam_lite.engine.look import Look, corners_of
from napari_medsam_lite.engine.propagation.route import Prompt

WHOLE = ModelFrame(512, 512)
SMALL, LARGE = Box2D(100, 100, 140, 130), Box2D(100, 100, 300, 260)


def looks(detail, box, crowd, whole=WHOLE):
    return choose_looks(detail, Prompt(3, corners_of(box), corners_of(box)), whole, crowd)


@pytest.mark.parametrize("crowd", [1, 30])
def test_whole_slices_where_they_are_asked_for(crowd):
    assert looks("whole", SMALL, crowd) == (Look.whole(3, WHOLE),)


@pytest.mark.parametrize("box", [SMALL, LARGE])
def test_one_object_is_looked_at_closely(box):
    (look,) = looks("auto", box, 1)
    assert look.frame.side == CLOSE_SIDE < FRAME


def test_many_large_objects_share_the_whole_slice_and_small_ones_do_not():
    assert looks("auto", LARGE, SHARED_FROM) == (Look.whole(3, WHOLE),)
    (look,) = looks("auto", SMALL, SHARED_FROM)
    assert look.frame.side == CLOSE_SIDE


@pytest.mark.parametrize("crowd", [1, SHARED_FROM])
def test_where_the_frame_enlarges_voxels_the_whole_slice_is_shown(crowd):
    coarse = ModelFrame(101, 122)
    assert looks("auto", Box2D(40, 40, 52, 50), crowd, coarse) == (Look.whole(3, coarse),)
    assert all(look.frame.side == CLOSE_SIDE for look in looks("close", SMALL, crowd, coarse))


@pytest.mark.parametrize("detail", ["auto", "close", "whole"])
@pytest.mark.parametrize("crowd", [1, SHARED_FROM])
@pytest.mark.parametrize("whole", [WHOLE, ModelFrame(101, 122)])
@pytest.mark.parametrize("box", [SMALL, Box2D(10, 10, 90, 90)])
def test_no_side_is_needed_that_was_not_foretold(detail, crowd, whole, box):
    foretold = sides_of(Settings(detail=detail), whole, crowd)
    assert {look.frame.side for look in looks(detail, box, crowd, whole)} <= set(foretold)


def test_close_looks_cost_less_than_a_whole_one():
    areas = [look.frame.side**2 for look in looks("close", LARGE, 30)]
    assert sum(areas) < FRAME**2
