import numpy as np

from napari_medsam_lite.core.frame import ModelFrame
from napari_medsam_lite.engine.look import look_around
from napari_medsam_lite.engine.recent import MOST, RecentLooks

WHOLE = ModelFrame(512, 512)
BOX = np.array([100.0, 100.0, 139.0, 139.0])


def look(size=40.0, index=3, at=(120.0, 120.0)):
    """A look three times as wide as `size` round a place."""
    (y, x), half = at, size / 2
    return look_around(index, np.array([y - half, x - half, y + half, x + half]), WHOLE, 3.0, 128)


def test_its_own_look_comes_first_then_those_most_like_it():
    recent, own = RecentLooks(), look()
    recent.remember([look(160), look(80), own, look(60)])
    assert recent.showing(own, BOX) == [own, look(60), look(80), look(160)]


def test_what_does_not_show_all_of_the_box_is_left_out():
    recent = RecentLooks()
    recent.remember([look(index=4), look(at=(200.0, 120.0)), look(8)])
    assert recent.showing(look(), BOX) == []


def test_a_look_in_which_the_box_is_a_few_pixels_is_left_out():
    recent, tiny = RecentLooks(), np.array([118.0, 118.0, 121.0, 121.0])
    recent.remember([look(60)])
    assert recent.showing(look(4), tiny) == []
    assert recent.showing(look(), BOX) == [look(60)]


def test_the_oldest_are_forgotten():
    recent = RecentLooks()
    recent.remember([look()])
    recent.remember([look(index=10 + number) for number in range(MOST - 1)])
    assert recent.showing(look(), BOX) == [look()]
    recent.remember([look(index=9)])
    assert recent.showing(look(), BOX) == []
