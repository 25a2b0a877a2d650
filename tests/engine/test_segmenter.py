import itertools
import re
import threading

import numpy as np
import pytest

from napari_medsam_lite import Box2D, Box3D, Volume
from napari_medsam_lite.core.agreement import dice
from napari_medsam_lite.core.errors import Interrupted, PromptError
from napari_medsam_lite.core.segmentation import Segment
from napari_medsam_lite.engine.cache import EmbeddingCache
from napari_medsam_lite.engine.prepared import prepare_volume
from napari_medsam_lite.engine.segmenter import Segmenter
from napari_medsam_lite.engine.timings import Timings

BOX = Box2D(28, 38, 72, 92)
SEGMENT = Segment((Box3D(3, 28, 38, 5, 72, 92),))


def ball(spacing=(3.0, 1.0, 1.0), depth=9):
    """A bright ball of 60 HU in fat, (depth, 180, 200), round in mm; and its mask."""
    z, y, x = np.ogrid[:depth, :180, :200]
    middle = (depth - 1) / 2
    inside = (
        ((z - middle) * spacing[0] / 22) ** 2
        + ((y - 50) * spacing[1] / 22) ** 2
        + ((x - 65) * spacing[2] / 22) ** 2
    ) < 1
    hu = np.where(inside, 60, -90) + np.random.default_rng(0).normal(0, 8, inside.shape)
    return Volume(hu.astype(np.int16), spacing), inside


@pytest.fixture(scope="module")
def segmenter():
    return Segmenter("sdpa", "cpu")


def test_two_volumes_at_once(segmenter):
    """A run and idle work, or two runs, each with its own volume and axis."""
    first, second = prepare_volume(ball()[0]), prepare_volume(Volume(ball()[0].data[:, ::-1]))
    alone = [item.mask for item in segmenter.segment(first, [SEGMENT])]
    together = []
    ahead = segmenter.encode_outwards(second, 4, [BOX])
    for item in segmenter.segment(first, [SEGMENT]):
        together.append(item.mask)
        next(ahead)
    np.testing.assert_array_equal(together, alone)


def test_an_edit_in_place_is_seen(segmenter):
    volume, _ = ball()
    prepared, timings = prepare_volume(volume), Timings()
    (before,) = segmenter.segment_slice(prepared, 4, [BOX])
    volume.data[4] = volume.data[4].min()
    (after,) = segmenter.segment_slice(prepared, 4, [BOX], timings=timings)
    assert timings.slices_encoded == 1
    assert before.mask.sum() > 500
    assert dice(before.mask, after.mask) < 0.9


def test_equal_slices_are_encoded_once_whatever_image_they_are_in(segmenter):
    volume, _ = ball()
    list(segmenter.segment_slice(prepare_volume(volume), 4, [BOX]))
    timings = Timings()
    again = prepare_volume(Volume(volume.data[::-1].copy(), volume.spacing, name="another"))
    list(segmenter.segment_slice(again, 4, [BOX], timings=timings))
    assert timings.slices_encoded == 0
    assert timings.boxes_decoded > 0


def test_thick_slices_are_segmented_across_rows_too(segmenter):
    """Given squeezed, a ball in 8 mm slices is lost across the rows; true proportions keep it."""
    volume, inside = ball(spacing=(8.0, 1.0, 1.0), depth=16)
    prepared = prepare_volume(volume, axis=1)
    box = Box2D(4, 40, 11, 90)
    (ours,) = segmenter.segment_slice(prepared, 50, [box])
    (squeezed,) = segmenter.segment_slice(prepared.as_published, 50, [box])
    truth = inside[:, 50]
    assert dice(ours.mask, truth) > 0.8
    assert dice(ours.mask, truth) > dice(squeezed.mask, truth)


@pytest.mark.parametrize(
    ("axis", "words"), [(0, "x 9..2, y 1..5"), (1, "x 9..2, z 1..5"), (2, "y 9..2, z 1..5")]
)
def test_a_box_without_area_is_told_with_the_axes_of_its_slice(segmenter, axis, words):
    with pytest.raises(PromptError, match=re.escape(f"The box {words} has no area")):
        segmenter.segment_slice(prepare_volume(ball()[0], axis=axis), 0, [Box2D(1, 9, 5, 2)])


def test_encoding_outwards_until_all_are_there(segmenter):
    prepared, timings = prepare_volume(Volume(ball()[0].data[:3])), Timings()
    assert list(segmenter.encode_outwards(prepared, 1, [BOX])) == [1, 2, 3]
    list(segmenter.segment_slice(prepared, 0, [BOX], timings=timings))
    assert timings.slices_encoded == 0


def test_without_boxes_nothing_is_encoded(segmenter):
    assert list(segmenter.encode_outwards(prepare_volume(ball()[0]), 1, [])) == []


def test_encoding_outwards_until_the_cache_is_full():
    cache = EmbeddingCache(max_bytes=3 * 2**18)
    segmenter = Segmenter("sdpa", "cpu", cache=cache)
    assert list(segmenter.encode_outwards(prepare_volume(ball()[0]), 4, [BOX])) == [1]
    assert len(cache) == 1


def test_an_encoding_that_is_unwanted_does_not_begin():
    cache = EmbeddingCache()
    segmenter, prepared = Segmenter("sdpa", "cpu", cache=cache), prepare_volume(ball()[0])
    with pytest.raises(Interrupted):
        next(segmenter.encode_outwards(prepared, 4, [BOX], unwanted=lambda: True))
    assert len(cache) == 0


def test_an_encoding_in_flight_is_given_up_on_request():
    segmenter = Segmenter("openvino", "cpu", cache=EmbeddingCache(max_bytes=1))
    prepared = prepare_volume(ball()[0])
    segmenter.interrupt()  # before there is anything to interrupt
    segmenter.load()
    ended = []

    def encode():
        try:
            for index in itertools.cycle(range(9)):
                list(segmenter.segment_slice(prepared, index, [BOX], "whole"))
        except Interrupted as error:
            ended.append(error)

    thread = threading.Thread(target=encode)
    thread.start()
    while thread.is_alive():
        segmenter.interrupt()
        thread.join(0.01)
    assert len(ended) == 1
    (item,) = segmenter.segment_slice(prepared, 4, [BOX])
    assert item.mask.any()


def test_a_glance_is_one_answer_from_the_look_in_memory_that_is_most_like_its_own():
    segmenter, (volume, _) = Segmenter("sdpa", "cpu"), ball()
    around = np.pad(volume.data, ((0, 0), (100, 100), (100, 100)), mode="edge")
    prepared, timings = prepare_volume(Volume(around, volume.spacing)), Timings()
    box, larger = Box2D(128, 138, 172, 192), Box2D(122, 132, 178, 198)
    assert segmenter.glance(prepared, 4, [box]) == []  # nothing is in memory
    assert not segmenter.is_encoded(prepared, 4, [box])
    (exact,) = segmenter.segment_slice(prepared, 4, [box])
    assert segmenter.is_encoded(prepared, 4, [box])
    assert not segmenter.is_encoded(prepared, 4, [box, larger])
    (own,) = segmenter.glance(prepared, 4, [box])
    assert 0.95 < dice(own.mask, exact.mask) < 1  # of three answers, one
    (rough,) = segmenter.glance(prepared, 4, [larger])
    (better,) = segmenter.segment_slice(prepared, 4, [larger], timings=timings)
    assert timings.slices_encoded == 1
    assert dice(rough.mask, better.mask) > 0.9
    far = Box2D(10, 10, 30, 30)
    assert segmenter.glance(prepared, 4, [far]) == []  # no look shows it
    assert segmenter.glance(prepared, 4, [larger, far]) == []
    assert segmenter.glance(prepared, 5, [larger]) == []
