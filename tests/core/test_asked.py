"""What was asked is kept as long as something is left of it."""

from dataclasses import replace

from napari_medsam_lite.core.asked import Asked, followed
from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.settings import Settings


def live(index, number=1, **changes):
    box = Box3D(index, 2, 3, index, 8, 9, key=index)
    return replace(Asked("live", Settings(), (box,), (number,)), **changes)


def test_a_box_that_is_dragged_leaves_one_answer():
    moved = replace(live(4), boxes=(Box3D(4, 3, 3, 4, 9, 9, key=4),))

    assert followed((live(2), live(4)), moved) == (live(2), moved)


def test_an_answer_that_erases_takes_the_place_of_what_it_erases():
    gone = Asked("live", Settings(), erased=((1, 4),))

    assert followed((live(4),), gone) == (gone,)


def test_other_places_segments_volumes_axes_and_runs_stay():
    for other in (
        live(5),
        live(4, number=2),
        live(4, leading=(1,)),
        live(4, settings=Settings(axis=1)),
        replace(live(4), kind="slice"),
    ):
        assert followed((live(4),), other) == (live(4), other)


def test_what_overwrote_others_is_not_forgotten():
    rude = live(4, settings=Settings(overlap="overwrite"))

    assert followed((rude,), live(4)) == (rude, live(4))


def test_more_than_the_latest_can_be_about_the_same():
    both = Asked("live", Settings(), live(4).boxes + live(5).boxes, (1, 1))

    assert followed((live(4),), both) == (both,)
    assert followed((both,), live(4)) == (both, live(4))
