import dask.array as da
import numpy as np
import pytest
from napari.components import Dims, ViewerModel
from napari.layers import Image, Labels

from napari_medsam_lite.core.errors import MedSAMLiteError, UnsupportedImageError
from napari_medsam_lite.gui.viewer.box_layer import new_boxes_layer
from napari_medsam_lite.gui.viewer.geometry import (
    Plane,
    fits,
    leading_index,
    shown_axis,
    shown_plane,
    slice_count,
    snapshot_of,
    to_volume,
    volume_shape,
)
from napari_medsam_lite.gui.viewer.label_layer import new_labels_layer

NON_ORTHOGONAL = pytest.mark.filterwarnings("ignore:Non-orthogonal slicing:UserWarning")


def shape_of(layer):
    return to_volume(snapshot_of(layer)).data.shape


def test_volume_keeps_values_and_spacing():
    data = np.arange(24, dtype=np.int16).reshape(2, 3, 4) - 1000
    volume = to_volume(snapshot_of(Image(data, scale=(3, 0.8, 0.7), name="CT")))
    np.testing.assert_array_equal(volume.data, data)
    assert volume.spacing == pytest.approx((3, 0.8, 0.7))
    assert volume.name == "CT"


def test_spacing_of_a_flipped_and_rotated_affine_is_positive():
    affine = np.eye(4)
    affine[:3, :3] = np.diag([-3, 0.8, 0.8]) @ [[1, 0, 0], [0, 0.6, -0.8], [0, 0.8, 0.6]]
    layer = Image(np.zeros((2, 3, 4), np.int16), affine=affine)
    assert snapshot_of(layer).spacing == pytest.approx((3, 0.8, 0.8))


def test_flat_images_become_volumes_of_one_slice():
    assert shape_of(Image(np.zeros((5, 6), np.uint8))) == (1, 5, 6)
    assert snapshot_of(Image(np.zeros((5, 6, 3), np.uint8), rgb=True)).shape == (1, 5, 6)
    assert shape_of(Image(np.zeros((5, 6, 3), np.uint8), rgb=True)) == (1, 5, 6, 3)
    assert shape_of(Image(np.zeros((5, 6, 4), np.uint8), rgb=True)) == (1, 5, 6, 3)


def test_float_colours_are_stretched_to_8_bit():
    volume = to_volume(snapshot_of(Image(np.full((5, 6, 3), 0.5, np.float32), rgb=True)))
    assert volume.data.dtype == np.uint8
    assert (volume.data == 127).all()


def counted(shape, chunks, read):
    """A dask array of numbers that notes the chunks that are read."""
    data = np.arange(np.prod(shape), dtype=np.int16).reshape(shape) - 1000

    def block(part):
        read.append(part.shape)
        return part

    return data, da.from_array(data, chunks=chunks).map_blocks(block, dtype=data.dtype, meta=data)


def test_lazy_arrays_are_read_slice_by_slice():
    read = []
    data, lazy = counted((6, 4, 5), (1, 4, 5), read)
    layer = Image(lazy, contrast_limits=(0, 1))
    read.clear()
    volume = to_volume(snapshot_of(layer))
    assert volume.is_lazy and read == []
    np.testing.assert_array_equal(volume.slices(0, [4])[0], data[4])
    assert read == [(1, 4, 5)]


def test_a_multiscale_image_is_its_finest_level_slice_by_slice():
    read = []
    data, lazy = counted((6, 4, 8), (1, 4, 8), read)
    layer = Image([lazy, lazy[:, ::2, ::2]], multiscale=True, contrast_limits=(0, 1))
    read.clear()
    snapshot = snapshot_of(layer)
    assert snapshot.data is snapshot_of(layer).data, "by this it is known to be the same"
    volume = to_volume(snapshot)
    assert volume.shape == volume_shape(layer) == (6, 4, 8) and read == []
    np.testing.assert_array_equal(volume.slices(0, [2])[0], data[2])
    assert len(read) == 1
    assert new_labels_layer(layer).data.shape == (6, 4, 8)
    assert new_boxes_layer(layer).ndim == 3


@pytest.mark.parametrize("lazy", [False, True])
def test_of_a_film_the_volume_shown_is_taken(lazy):
    read = []
    data, counting = counted((3, 6, 4, 5), (1, 1, 4, 5), read)
    film = Image(counting if lazy else data, scale=(10, 3, 1, 1), contrast_limits=(0, 1))
    viewer = viewer_with(film, film.data_to_world((2, 4, 0, 0)))
    assert shown_plane(film, viewer.dims) == Plane(0, 4)
    assert slice_count(film, 0) == 6 and volume_shape(film) == (6, 4, 5)
    leading = leading_index(film, viewer.dims)
    assert leading == (2,)
    read.clear()
    snapshot = snapshot_of(film, leading)
    assert snapshot.is_volume and snapshot.spacing == (3, 1, 1)
    assert snapshot.place != snapshot_of(film, (1,)).place
    volume = to_volume(snapshot)
    assert volume.shape == snapshot.shape == (6, 4, 5) and read == []
    np.testing.assert_array_equal(volume.slices(0, [4])[0], data[2, 4])
    assert len(read) == (1 if lazy else 0)
    assert lazy or np.shares_memory(volume.data, data)


def test_a_film_seen_from_the_side_and_along_its_time():
    film = Image(np.zeros((3, 6, 4, 5)))
    viewer = viewer_with(film, (2, 4, 3, 0), order=(0, 2, 1, 3))
    assert shown_plane(film, viewer.dims) == Plane(1, 3)
    viewer.dims.order = (1, 2, 0, 3)
    with pytest.raises(MedSAMLiteError, match="does not show slices"):
        shown_plane(film, viewer.dims)


def test_a_volume_beyond_a_film_is_refused():
    film = Image(np.zeros((3, 6, 4, 5)))
    viewer = viewer_with(film, extra=Image(np.zeros((9, 6, 4, 5))))
    viewer.dims.set_current_step(0, 7)
    with pytest.raises(MedSAMLiteError, match="shows no volume"):
        leading_index(film, viewer.dims)


def test_other_images_have_no_leading_axes():
    viewer = viewer_with(Image(np.zeros((8, 9, 10))), extra=Image(np.zeros((3, 8, 9, 10))))
    flat, colour = Image(np.zeros((9, 10))), Image(np.zeros((9, 10, 3)), rgb=True)
    for image in (viewer.layers[0], flat, colour):
        assert leading_index(image, viewer.dims) == ()


@pytest.mark.parametrize(
    ("layer", "sentence"),
    [
        (lambda: Image(np.zeros((2, 5, 6, 3), np.uint8), rgb=True), "colour volume"),
        (lambda: Image(np.zeros((2, 3, 5, 6))), "4 dimensions"),
    ],
)
def test_other_images_are_refused_in_a_sentence(layer, sentence):
    with pytest.raises(UnsupportedImageError, match=sentence):
        snapshot_of(layer())


def viewer_with(image, point=None, order=None, ndisplay=2, extra=None):
    viewer = ViewerModel()
    viewer.add_layer(image)
    if extra is not None:
        viewer.add_layer(extra)
    if order is not None:
        viewer.dims.order = order
    viewer.dims.ndisplay = ndisplay
    if point is not None:
        viewer.dims.point = point
    return viewer


@pytest.mark.parametrize(("order", "axis"), [((0, 1, 2), 0), ((1, 0, 2), 1), ((2, 1, 0), 2)])
def test_the_axis_stepped_through_is_the_one_not_displayed(order, axis):
    image = Image(np.zeros((8, 9, 10)), scale=(3, 0.8, 0.8), translate=(5, -7, 11))
    viewer = viewer_with(image, image.data_to_world((2, 3, 4)), order)
    assert shown_plane(image, viewer.dims) == Plane(axis, (2, 3, 4)[axis])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_flipped_offset_anisotropic_affine(axis):
    affine = np.diag([-3, 0.8, -0.7, 1.0])
    affine[:3, 3] = 40, -100, 12
    image = Image(np.zeros((8, 9, 10)), affine=affine)
    order = (axis, *(a for a in range(3) if a != axis))
    viewer = viewer_with(image, image.data_to_world((2, 3, 4)), order)
    assert shown_plane(image, viewer.dims) == Plane(axis, (2, 3, 4)[axis])


def test_every_slice_is_the_one_that_napari_shows():
    data = np.arange(8)[:, None, None] * np.ones((8, 4, 4))
    image = Image(data, scale=(-2.5, 1, 1), translate=(3.3, 0, 0))
    viewer = viewer_with(image)
    for step in range(int(viewer.dims.nsteps[0])):
        viewer.dims.set_current_step(0, step)
        shown = image._slice.image.view
        assert (shown == shown_plane(image, viewer.dims).index).all()


def test_image_among_layers_of_more_dimensions():
    image, film = Image(np.zeros((8, 9, 10))), Image(np.zeros((5, 8, 9, 10)))
    viewer = viewer_with(image, (4, 2, 3, 0), extra=film)
    assert shown_plane(image, viewer.dims) == Plane(0, 2)
    viewer.dims.order = (0, 2, 1, 3)
    assert shown_plane(image, viewer.dims) == Plane(1, 3)
    viewer.dims.order = (1, 2, 0, 3)
    with pytest.raises(MedSAMLiteError, match="does not show slices"):
        shown_axis(image, viewer.dims)


def test_flat_image_has_one_slice_also_beside_a_volume():
    image = Image(np.zeros((9, 10)))
    viewer = viewer_with(image, extra=Image(np.zeros((8, 9, 10))))
    assert shown_plane(image, viewer.dims) == Plane(0, 0)


def test_3d_display_is_refused():
    image = Image(np.zeros((8, 9, 10)))
    with pytest.raises(MedSAMLiteError, match="switch to 2D"):
        shown_plane(image, viewer_with(image, ndisplay=3).dims)


def test_slider_beyond_the_image_is_refused():
    image = Image(np.zeros((8, 9, 10)))
    viewer = viewer_with(image, extra=Image(np.zeros((20, 9, 10))))
    viewer.dims.set_current_step(0, 15)
    with pytest.raises(MedSAMLiteError, match="shows no slice"):
        shown_plane(image, viewer.dims)


@NON_ORTHOGONAL
def test_rotation_within_the_slice_is_fine_and_out_of_it_is_refused():
    image = Image(np.zeros((8, 9, 10)))
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    affine = np.eye(4)
    affine[1:3, 1:3] = turn
    image.affine = affine
    dims = Dims(ndim=3, ndisplay=2, point=(2, 0, 0))
    assert shown_plane(image, dims) == Plane(0, 2)
    affine = np.eye(4)
    affine[:2, :2] = turn
    image.affine = affine
    with pytest.raises(MedSAMLiteError, match="rotated out of the slices"):
        shown_plane(image, dims)


@NON_ORTHOGONAL
def test_new_layers_lie_where_the_image_does():
    image = Image(
        np.zeros((8, 9, 10)),
        name="CT",
        scale=(3, 0.8, 0.7),
        translate=(5, -7, 11),
        rotate=(10, 20, 30),
        shear=(0.1, 0, 0),
        affine=np.diag([-1, 1, 2, 1.0]),
        units=("mm", "mm", "mm"),
        metadata={"medsam_lite": "the file's exact geometry"},
    )
    boxes, labels = new_boxes_layer(image), new_labels_layer(image)
    for layer in (boxes, labels):
        assert fits(layer, image)
        assert layer.units == image.units
        for point in np.random.default_rng(0).uniform(0, 8, (5, 3)):
            np.testing.assert_allclose(layer.data_to_world(point), image.data_to_world(point))
    assert labels.data.shape == (8, 9, 10)
    assert labels.data.dtype == np.uint8
    assert labels.metadata == image.metadata
    assert (boxes.name, labels.name) == ("CT boxes", "CT labels")
    assert not fits(Labels(np.zeros((8, 9, 10), int)), image)


def test_new_layers_of_a_colour_image_are_flat():
    image = Image(np.zeros((9, 10, 3), np.uint8), rgb=True)
    assert new_boxes_layer(image).ndim == 2
    assert new_labels_layer(image).data.shape == (9, 10)


def test_the_spacing_is_the_files_where_the_layer_agrees():
    """A transform rounds, and another number would be another frame than the command line's."""
    exact = (2.5, 0.7, 0.7)
    image = Image(
        np.zeros((8, 9, 10)),
        scale=exact,
        translate=(5, -250.3, 11),
        metadata={"medsam_lite": {"spacing": exact}},
    )
    assert snapshot_of(image).spacing == exact
    image.metadata["medsam_lite"] = "something of the user's"
    assert snapshot_of(image).spacing == exact, "rounded to nine digits"
    image.metadata["medsam_lite"] = {"spacing": (1, 1, 1)}
    assert snapshot_of(image).spacing == exact, "the layer was given another scale"
