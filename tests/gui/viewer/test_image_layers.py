import numpy as np
import pytest
from napari.layers import Labels, Shapes

from napari_medsam_lite.core.volume import fingerprint_of
from napari_medsam_lite.gui.viewer.image_layers import ImageLayers, fingerprint_of_image

PLACE = {"scale": (3, 0.8, 0.8), "translate": (5, -7, 11)}


class User:
    """Answers every question the same way, and remembers them."""

    def __init__(self, yes):
        self.yes, self.questions = yes, []

    def __call__(self, question):
        self.questions.append(question)
        return self.yes


@pytest.fixture
def user():
    return User(yes=False)


@pytest.fixture
def layers(viewer, user):
    return ImageLayers(viewer, user)


def test_they_are_made_once(layers, viewer, image):
    assert layers.boxes(image) is None
    assert layers.labels(image) is None
    boxes, labels = layers.boxes_made(image), layers.labels_made(image)
    assert layers.boxes_made(image) is layers.boxes(image) is boxes
    assert layers.labels_made(image) is layers.labels(image) is labels
    assert [type(layer) for layer in viewer.layers] == [type(image), Labels, Shapes]


def test_they_are_found_again_by_the_voxels_of_the_image(layers, viewer, image, user):
    boxes, labels = layers.boxes_made(image), layers.labels_made(image)
    for layer in (image, boxes, labels):
        layer.name = f"renamed {layer.name}"
    again = ImageLayers(viewer, user)
    again.adopt(image)
    assert again.boxes(image) is boxes
    assert again.labels(image) is labels
    assert user.questions == []


def test_the_voxels_are_read_once_a_press(layers, viewer, image, user, monkeypatch):
    """It takes 27 ms for 512 x 512 x 600, on the main thread."""
    read = []
    monkeypatch.setattr(
        "napari_medsam_lite.gui.viewer.image_layers.fingerprint_of",
        lambda data: read.append(data) or fingerprint_of(data),
    )
    layers.adopt(image)
    assert layers.both_made(image) == (layers.boxes(image), layers.labels(image))
    assert layers.adopt(image) == (layers.boxes(image), layers.labels(image))
    assert len(read) == 1
    again = ImageLayers(viewer, user)
    again.adopt(image)
    again.both_made(image)
    assert len(read) == 2


@pytest.mark.parametrize("yes", [True, False])
def test_what_only_has_the_name_and_the_place_is_asked_for(layers, viewer, image, user, yes):
    user.yes = yes
    boxes = viewer.add_shapes(ndim=3, name="CT boxes", **PLACE)
    labels = viewer.add_labels(np.zeros((8, 20, 30), np.uint8), name="CT labels", **PLACE)
    assert layers.labels(image) is None, "before the user has answered it is not the image's"
    layers.adopt(image)
    layers.adopt(image)
    assert len(user.questions) == 1
    assert (layers.boxes(image) is boxes) is yes
    assert (layers.labels(image) is labels) is yes
    assert labels.visible is yes
    if yes:
        assert labels.metadata["medsam_lite"]["fingerprint"] == fingerprint_of_image(image)


@pytest.mark.parametrize(
    "change",
    [{"scale": (1, 1, 1)}, {"name": "other labels"}, {"data": np.zeros((8, 20, 31), np.uint8)}],
    ids=["place", "name", "shape"],
)
def test_what_is_another_layer_is_not_even_asked_for(layers, viewer, image, user, change):
    given = {"data": np.zeros((8, 20, 30), np.uint8), "name": "CT labels"} | PLACE | change
    viewer.add_labels(**given)
    layers.adopt(image)
    assert user.questions == []
    assert layers.labels(image) is None


def test_two_images_of_one_name_have_their_own(layers, viewer, image, user):
    twin = viewer.add_image(image.data[::-1].copy(), name=image.name, **PLACE)
    first = layers.labels_made(image)
    layers.adopt(twin)
    second = layers.labels_made(twin)
    assert first is not second
    assert user.questions == [], "a layer that belongs to an image is not offered to another"


def test_replaced_voxels_part_an_image_from_its_layers(layers, viewer, image, user):
    labels = layers.labels_made(image)
    labels.name = "liver"
    image.data = image.data + 1
    layers.part(image)
    assert layers.labels(image) is None
    user.yes = True
    layers.adopt(image)
    assert '"liver" may have been made on another image' in user.questions[0]
    assert layers.labels(image) is labels


def test_a_removed_layer_is_forgotten(layers, viewer, image):
    labels = layers.labels_made(image)
    viewer.layers.remove(labels)
    layers.forget(labels)
    assert layers.labels(image) is None
    assert layers.labels_made(image) is not labels


def test_odd_metadata_do_no_harm(layers, viewer, image):
    viewer.add_labels(np.zeros((8, 20, 30), np.uint8), metadata={"medsam_lite": "mine"}, **PLACE)
    image.metadata["medsam_lite"] = 3
    layers.adopt(image)
    assert layers.labels_made(image).metadata["medsam_lite"]["role"] == "labels"


def test_the_fingerprint_of_flat_and_lazy_images(viewer):
    dask = pytest.importorskip("dask.array")
    flat = viewer.add_image(np.arange(600).reshape(20, 30))
    colour = viewer.add_image(np.zeros((20, 30, 3), np.uint8), rgb=True)
    assert fingerprint_of_image(flat) != fingerprint_of_image(colour)
    volume = np.arange(8 * 20 * 30).reshape(8, 20, 30)
    reads = []
    lazy = dask.from_array(volume, chunks=(1, 20, 30)).map_blocks(
        lambda block: reads.append(1) or block, dtype=volume.dtype, meta=volume[:0]
    )
    first = fingerprint_of_image(viewer.add_image(lazy, contrast_limits=(0, 1)))
    reads.clear()
    assert fingerprint_of_image(viewer.layers[-1]) == first
    assert len(reads) <= 3, "a lazy image is not read as a whole"
    inside = volume.copy()
    inside[1:7] += 1
    other = viewer.add_image(dask.from_array(inside, chunks=(1, 20, 30)), contrast_limits=(0, 1))
    assert fingerprint_of_image(other) != first, "slices at the ends are often padding"


def test_the_fingerprint_of_films_and_of_many_scales(viewer):
    film = np.arange(4 * 3 * 20 * 30, dtype=np.int16).reshape(4, 3, 20, 30)
    whole = fingerprint_of_image(viewer.add_image(film))
    assert fingerprint_of_image(viewer.add_image(film.copy())) == whole
    other = film.copy()
    other[3, 1] += 1
    assert fingerprint_of_image(viewer.add_image(other)) != whole
    assert fingerprint_of_image(viewer.add_image(film[:3])) != whole
    scales = viewer.add_image([film[0], film[0, :, ::2, ::2]], multiscale=True)
    assert fingerprint_of_image(scales) == fingerprint_of_image(viewer.add_image(film[0]))


def test_a_lazy_film_is_not_read_as_a_whole(viewer):
    dask = pytest.importorskip("dask.array")
    film, reads = np.arange(9 * 40 * 4 * 5).reshape(9, 40, 4, 5), []
    lazy = dask.from_array(film, chunks=(1, 1, 4, 5)).map_blocks(
        lambda block: reads.append(1) or block, dtype=film.dtype, meta=film[:0]
    )
    image = viewer.add_image(lazy, contrast_limits=(0, 1))
    reads.clear()
    assert fingerprint_of_image(image) == fingerprint_of_image(image)
    assert len(reads) <= 2 * 9


def test_the_layers_of_a_film_hold_all_its_volumes(layers, viewer):
    film = viewer.add_image(np.zeros((4, 3, 20, 30), np.int16), name="film", scale=(1, 3, 0.8, 0.8))
    boxes, labels = layers.both_made(film)
    assert boxes.ndim == 4 and labels.data.shape == (4, 3, 20, 30)
    assert layers.boxes(film) is boxes and layers.labels(film) is labels
