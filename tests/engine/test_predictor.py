import numpy as np
import pytest

from napari_medsam_lite import (
    Box2D,
    Box3D,
    CTWindow,
    Segment,
    Segmentation,
    Volume,
    VolumePredictor,
)
from napari_medsam_lite.core.errors import (
    BackendUnavailableError,
    CheckpointError,
    MedSAMLiteError,
    PromptError,
    UnsupportedImageError,
)

BOX = Box2D(28, 38, 72, 92)


@pytest.fixture(scope="module")
def volume():
    """A bright ball of 60 HU in fat, (9, 180, 200)."""
    z, y, x = np.ogrid[:9, :180, :200]
    ball = ((z - 4) / 4) ** 2 + ((y - 50) / 20) ** 2 + ((x - 65) / 25) ** 2 < 1
    hu = np.where(ball, 60, -90) + np.random.default_rng(0).normal(0, 8, ball.shape)
    return Volume(hu.astype(np.int16), (3, 1, 1))


@pytest.fixture(scope="module")
def truth(volume):
    return volume.data > -15


@pytest.fixture(scope="module")
def predictor():
    return VolumePredictor(preset="sdpa", device="cpu")


@pytest.fixture
def ready(predictor, volume):
    predictor.set_volume(volume)
    return predictor


def test_a_box_gives_the_ball(ready, truth):
    masks, scores = ready.predict_slice(4, [BOX, Box2D(40, 50, 60, 80)])
    assert masks.shape == (2, 180, 200)
    assert masks.dtype == bool
    assert scores.shape == (2,)
    overlap = (masks[0] & truth[4]).sum() / (masks[0] | truth[4]).sum()
    assert overlap > 0.85


def test_a_second_box_costs_no_encoding(ready):
    ready.predict_slice(4, [BOX], "whole")
    ready.predict_slice(4, [Box2D(40, 50, 60, 80)], "whole")
    assert ready.timings.slices_encoded == 0
    assert ready.timings.boxes_decoded > 0


def test_another_window_is_another_encoding(ready, volume):
    ready.predict_slice(4, [BOX])
    ready.set_volume(volume, "0,80")
    assert (ready.limits.low, ready.limits.high) == (-40, 40)
    ready.predict_slice(4, [BOX])
    assert ready.timings.slices_encoded == 1
    ready.set_volume(volume, CTWindow(40, 400))
    ready.predict_slice(4, [BOX])
    assert ready.timings.slices_encoded == 0


def test_slices_come_as_they_are_ready(ready):
    items = ready.propagate_in_volume([Box3D(2, 28, 38, 6, 72, 92)])
    first = next(items)
    assert (first.object, first.index) == (0, 4)
    items.close()


def test_a_volume(ready, volume, truth):
    seen = []
    labels = ready.segment_volume(
        [Box3D(2, 28, 38, 6, 72, 92)],
        ids=[7],
        propagation="guided",
        progress=lambda done, total: seen.append((done, total)),
    )
    assert labels.dtype == np.uint8
    assert set(np.unique(labels)) == {0, 7}
    assert seen[-1][1] == 5
    inside = truth[3:6]
    assert ((labels[3:6] > 0) & inside).sum() / ((labels[3:6] > 0) | inside).sum() > 0.8


def test_as_published_two_boxes_of_one_label_are_counted_each(ready):
    told = []
    boxes = [Box3D(3, 28, 38, 4, 72, 92, key=3), Box3D(3, 28, 38, 5, 72, 92, key=5)]
    ready.segment_volume(
        boxes, propagation="published", ids=[2, 2], progress=lambda *now: told.append(now)
    )
    assert told == [(done, 5) for done in range(1, 6)]


def test_across_the_rows(predictor, volume):
    turned = Volume(volume.data.transpose(1, 0, 2), (1, 3, 1))
    predictor.set_volume(volume)
    upright, _ = predictor.predict_slice(4, [BOX])
    predictor.set_volume(turned, axis=1)
    coronal, _ = predictor.predict_slice(4, [BOX])
    np.testing.assert_array_equal(upright, coronal)


def test_labels_as_prompts(ready, truth):
    labels = np.zeros(truth.shape, np.uint8)
    labels[4][truth[4]] = 3
    found = ready.segment_from_labels(labels)
    assert set(np.unique(found)) == {0, 3}
    assert not found[:4].any()
    overlap = ((found[4] == 3) & truth[4]).sum() / ((found[4] == 3) | truth[4]).sum()
    assert overlap > 0.85


def test_a_colour_image(predictor):
    image = np.full((1, 60, 90, 3), 40, np.uint8)
    image[0, 20:40, 30:60] = (200, 120, 60)
    predictor.set_volume(Volume(image))
    masks, _ = predictor.predict_slice(0, [Box2D(18, 28, 42, 62)])
    assert masks[0][20:40, 30:60].mean() > 0.9
    assert masks[0].mean() < 0.2


def test_change_the_model_in_place(volume):
    predictor = VolumePredictor(preset="sdpa", device="cpu")
    predictor.set_volume(volume)
    before, _ = predictor.predict_slice(4, [BOX])
    predictor.use(preset="eager")
    assert predictor.preset == "eager"
    after, _ = predictor.predict_slice(4, [BOX])
    assert predictor.timings.slices_encoded == 1
    assert (before == after).mean() > 0.999


@pytest.mark.parametrize(
    ("box", "text"),
    [
        (Box2D(10, 10, 10, 20), "no area"),
        (Box2D(20, 10, 10, 20), "no area"),
        (Box2D(200, 10, 210, 20), "outside"),
        (Box2D(-20, 10, -10, 20), "outside"),
    ],
)
def test_impossible_boxes(ready, box, text):
    with pytest.raises(PromptError, match=text):
        ready.predict_slice(4, [box])


def test_a_slice_that_is_not_there(ready):
    with pytest.raises(PromptError, match=r"0\.\.8"):
        ready.predict_slice(9, [BOX])


def test_a_box_beyond_the_volume(ready):
    with pytest.raises(PromptError, match="outside the volume"):
        ready.segment_volume([Box3D(20, 28, 38, 30, 72, 92)])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_voxels_that_are_no_numbers(predictor, volume, value):
    data = volume.data.astype(np.float32)
    data[0, 0, 0] = value
    with pytest.raises(UnsupportedImageError, match="NaN or infinite"):
        predictor.set_volume(Volume(data))


def test_wrong_names(ready, volume):
    with pytest.raises(UnsupportedImageError, match="axis"):
        ready.set_volume(volume, axis=3)
    with pytest.raises(MedSAMLiteError, match="guided, published"):
        list(ready.propagate_in_volume([], "sideways"))
    with pytest.raises(MedSAMLiteError, match="no detail 'near'"):
        ready.predict_slice(4, [BOX], "near")
    with pytest.raises(PromptError, match="differ in shape"):
        ready.segment_from_labels(np.zeros((2, 2, 2), np.uint8))


def test_what_cannot_be_loaded(volume, tmp_path):
    for arguments, error in (
        ({"preset": "warp"}, BackendUnavailableError),
        ({"device": "toaster"}, BackendUnavailableError),
        ({"checkpoint": tmp_path / "none.pth"}, CheckpointError),
    ):
        predictor = VolumePredictor(**arguments)
        predictor.set_volume(volume)
        with pytest.raises(error):
            predictor.predict_slice(4, [BOX])


def test_no_volume_yet():
    with pytest.raises(MedSAMLiteError, match="set_volume"):
        VolumePredictor().predict_slice(0, [BOX])


def test_the_same_volume_and_window_are_not_read_again(predictor, volume, monkeypatch):
    predictor.set_volume(volume, "liver")
    limits = predictor.limits
    monkeypatch.setattr(CTWindow, "fit", lambda *_: pytest.fail("the volume was read again"))
    predictor.set_volume(volume, "liver", axis=1)
    assert predictor.limits == limits


def test_named_segments_come_back_with_what_is_known(predictor, volume):
    predictor.set_volume(volume)
    boxes = [Box3D(3, 28, 38, 3, 72, 92), Box3D(5, 28, 38, 5, 72, 92)]
    wanted = Segmentation(
        [Segment(name="liver", key_boxes=boxes), Segment(name="spleen", number=1, boxes=boxes[:1])]
    )
    result = predictor.segment(wanted, step="1")
    assert [(s.name, s.number) for s in result.segmentation.segments] == [
        ("liver", 2),
        ("spleen", 1),
    ]
    ids = [2, 2, 1]
    expected = predictor.segment_volume([*boxes, boxes[0]], ids=ids, step="1")
    np.testing.assert_array_equal(result.labels, expected)
    assert set(result.scores[2]) == {3, 4, 5}
    assert set(result.sources[2].values()) <= {"predicted", "between"}
    with pytest.raises(PromptError, match="no box of liver"):
        predictor.segment(Segmentation([Segment(name="liver")]))
