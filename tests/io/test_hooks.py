from fnmatch import fnmatch

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.case import Case
from napari_medsam_lite.core.errors import FileFormatError, FileNote
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.io import hooks
from napari_medsam_lite.io.formats import read_label_volume, read_volume
from napari_medsam_lite.io.registry import SUFFIXES

DATA = np.arange(-500, -500 + 5 * 4 * 3, dtype=np.int16).reshape(5, 4, 3)  # (X, Y, Z)
RAS = np.diag([0.7, 0.8, 3.0, 1])
RAS[:3, 3] = (10, 20, 30)
OBLIQUE = RAS.copy()
OBLIQUE[1, 2], OBLIQUE[2, 1] = 0.4, -0.1


def nifti(folder, affine=RAS, name="ct.nii.gz"):
    path = folder / name
    nib.Nifti1Image(DATA, affine).to_filename(path)
    return str(path)


def read(path):
    reader = hooks.get_reader(path)
    assert reader is not None
    return reader(path)


def test_only_our_files_are_claimed(tmp_path):
    ours, other = tmp_path / "a.npz", tmp_path / "b.npz"
    np.savez(ours, imgs=np.zeros((3, 4, 5), np.uint8))
    np.savez(other, image=np.zeros(3))
    np.savez(tmp_path / "labels.npz", segs=np.zeros((3, 4, 5), np.uint8))
    assert hooks.get_reader(str(tmp_path / "labels.npz")) is not None
    assert hooks.get_reader(str(ours)) is not None
    assert hooks.get_reader([str(ours), nifti(tmp_path)]) is not None
    assert hooks.get_reader(str(other)) is None
    assert hooks.get_reader(str(tmp_path / "missing.npz")) is None
    assert hooks.get_reader(str(tmp_path / "a.tif")) is None
    assert hooks.get_reader([str(ours), str(tmp_path / "a.tif")]) is None
    assert hooks.get_reader([]) is None


def test_an_image_lies_in_the_lps_world(tmp_path):
    ((data, look, kind),) = read(nifti(tmp_path))
    assert kind == "image"
    np.testing.assert_array_equal(data, DATA.T)
    affine = look["affine"]
    # RAS (x, y, z) = (10, 20, 30) is LPS (z, y, x) = (30, -20, -10).
    np.testing.assert_allclose(affine @ (0, 0, 0, 1), (30, -20, -10, 1))
    np.testing.assert_allclose(np.diag(affine), (3, -0.8, -0.7, 1), rtol=1e-6)
    assert look["contrast_limits"] == (-160, 240)
    assert look["name"] == "ct"


def test_an_lps_file_needs_scale_and_translate_only(tmp_path):
    ((_, look, _),) = read(nifti(tmp_path, np.diag([-0.7, -0.8, 3.0, 1])))
    np.testing.assert_allclose(look["scale"], (3, 0.8, 0.7), rtol=1e-6)
    np.testing.assert_allclose(look["translate"], (0, 0, 0))
    assert "affine" not in look


def test_an_oblique_volume_is_shown_straight_and_keeps_its_place(tmp_path):
    path = nifti(tmp_path, OBLIQUE)
    ((data, look, _),) = read(path)
    np.testing.assert_allclose(look["scale"], read_volume(path).spacing)
    assert "affine" not in look
    target = str(tmp_path / "labels.nii.gz")
    hooks.write_labels_layer(target, (data > 0).astype(int), {"metadata": look["metadata"]})
    np.testing.assert_array_equal(nib.load(target).affine, nib.load(path).affine)


def test_an_oblique_volume_comes_with_a_notice(tmp_path):
    with pytest.warns(FileNote, match="aslant in the body: they are shown as stored"):
        ((_, look, _),) = read(nifti(tmp_path, OBLIQUE))
    assert "aslant" in look["metadata"]["medsam_lite"]["notes"][0]
    assert read(nifti(tmp_path))[0][1]["metadata"]["medsam_lite"]["notes"] == ()


VOXELS = np.random.default_rng(0).integers(-1000, 1000, (5, 6, 4), np.int16)


def test_a_folder_of_slices_is_a_layer_with_its_own_window(tmp_path, write_series):
    write_series(tmp_path / "ct", VOXELS)
    ((data, look, kind),) = read(str(tmp_path / "ct"))
    assert (kind, look["name"], look["contrast_limits"]) == ("image", "CT 3", (-160, 240))
    np.testing.assert_array_equal(data, VOXELS)
    layer = made((data, look, kind))
    np.testing.assert_allclose(layer.data_to_world((1, 2, 3)), (23, -48.4, -97.9))
    assert look["metadata"]["medsam_lite"]["modality"] == "CT"


def test_slices_dropped_one_by_one_are_a_volume(tmp_path, write_series):
    paths = [str(path) for path in write_series(tmp_path, VOXELS, name="{}.dcm")]
    ((data, _, _),) = read(paths)
    np.testing.assert_array_equal(data, VOXELS)


@pytest.fixture
def folder(tmp_path, write_series):
    """A CT, a smaller MR, a localizer, and the largest series, which cannot be stacked."""
    write_series(tmp_path / "a", VOXELS)
    write_series(tmp_path / "b", VOXELS[:4], SeriesNumber=7, Modality="MR", WindowCenter=None)
    write_series(tmp_path / "c", VOXELS[:1], SeriesNumber=1)
    uneven = [0, 1, 2, 50, 100, 101]

    def apart(ds, index):
        ds.ImagePositionPatient = [0, 0, uneven[index]]

    write_series(tmp_path / "d", VOXELS[[0, 1, 2, 3, 4, 4]], SeriesNumber=9, change=apart)
    return tmp_path


def test_of_a_folder_of_several_series_the_largest_that_can_be_is_opened(folder):
    with pytest.warns(FileNote) as notices:
        ((data, look, _),) = read(str(folder))
    assert look["name"] == "CT 3"
    np.testing.assert_array_equal(data, VOXELS)
    told = " ".join(str(notice.message) for notice in notices)
    assert "1 series of few images" in told
    assert "holds 3 series; CT 3, the largest that can be read, is open" in told
    assert "1 to 50 mm apart" in told
    held = look["metadata"]["medsam_lite"]
    assert [one.name for one in held["series"]] == ["CT 9", "CT 3", "MR 7"]
    assert held["chosen"].name == "CT 3"


def test_another_series_of_the_folder_is_read_when_it_is_asked_for(folder):
    with pytest.warns(FileNote):
        ((_, look, _),) = read(str(folder))
    found = look["metadata"]["medsam_lite"]["series"]
    seen = []
    ((data, other, _),) = hooks.series_layers(
        found[2], found, folder, lambda done, count: seen.append((done, count))
    )
    assert (other["name"], len(data)) == ("MR 7", 4)
    assert "contrast_limits" not in other
    assert other["metadata"]["medsam_lite"]["chosen"] is found[2]
    assert seen[-1] == (4, 4)


def test_what_is_wrong_with_a_folder_is_told_in_one_sentence(tmp_path, write_series):
    paths = write_series(tmp_path / "ct", VOXELS)
    paths[1].write_bytes(paths[1].read_bytes()[:700])
    with pytest.raises(FileFormatError, match="001 is cut short"):
        read(str(tmp_path / "ct"))


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_itk_files_open_as_images(tmp_path, suffix):
    sitk = pytest.importorskip("SimpleITK")
    path = str(tmp_path / f"ct{suffix}")
    sitk.WriteImage(sitk.GetImageFromArray(VOXELS), path)
    ((data, look, kind),) = read(path)
    assert (kind, look["name"]) == ("image", "ct")
    np.testing.assert_array_equal(data, VOXELS)


def made(layer):
    """The napari layer of what a reader gives."""
    return pytest.importorskip("napari.layers").Layer.create(*layer)


def test_a_case_brings_its_boxes_and_hidden_truth(tmp_path):
    path = tmp_path / "a.npz"
    image = np.zeros((3, 4, 5), np.uint8)
    np.savez(path, imgs=image, gts=image, boxes=[[0, 0, 0, 2, 2, 2]], spacing=(0.7, 0.8, 3))
    (_, look, kind), (_, truth, truth_kind), (_, boxes, boxes_kind) = read(str(path))
    assert (kind, truth_kind, boxes_kind) == ("image", "labels", "shapes")
    assert not truth["visible"]
    assert look["contrast_limits"] == (0, 255)
    np.testing.assert_allclose(look["scale"], (3, 0.8, 0.7))
    fingerprint = read_volume(path).fingerprint
    for layer in (look, truth, boxes):
        assert layer["metadata"]["medsam_lite"]["fingerprint"] == fingerprint
        assert len(layer["metadata"]["medsam_lite"]["boxes"]) == 1


def test_boxes_lie_on_their_key_slices(tmp_path):
    boxes = [Box3D(0, 1, 2, 4, 10, 20), Box3D(2, 0, 0, 3, 5, 6, key=3)]
    volume = Volume(np.zeros((6, 400, 900), np.int16), (3, 0.8, 0.7))
    layers = hooks.case_layers(Case(volume, boxes), ["liver"])
    image, shapes = map(made, layers)
    assert shapes.name == "image boxes"
    assert shapes.shape_type == ["rectangle"] * 2
    for corners, z, box in zip(shapes.data, (2, 3), boxes, strict=True):
        assert set(corners[:, 0]) == {z}
        np.testing.assert_array_equal(corners.min(axis=0)[1:], (box.y0, box.x0))
        np.testing.assert_array_equal(corners.max(axis=0)[1:], (box.y1, box.x1))
    features = {name: list(shapes.features[name]) for name in shapes.features}
    assert features == {
        "label": [1, 2], "name": ["liver", ""], "first": [0, 2], "last": [4, 3]
    }  # fmt: skip
    np.testing.assert_allclose(shapes.edge_color, [[1, 1, 0, 1]] * 2)
    np.testing.assert_array_equal(shapes.face_color[:, 3], 0)
    assert shapes.edge_width == [3, 3]
    for corner in ((0, 0, 0), (5, 399, 899)):
        np.testing.assert_allclose(shapes.data_to_world(corner), image.data_to_world(corner))
    assert (shapes.units, shapes.axis_labels) == (image.units, image.axis_labels)


@pytest.mark.parametrize("affine", [RAS, OBLIQUE, np.diag([-0.7, -0.8, 3.0, 1])])
def test_layers_are_in_millimetres_and_name_their_axes(tmp_path, affine):
    (layer,) = read(nifti(tmp_path, affine))
    image = made(layer)
    assert [f"{unit:~}" for unit in image.units] == ["mm", "mm", "mm"]
    assert image.axis_labels == ("z", "y", "x")


@pytest.mark.parametrize("suffix", [".npz", ".nii.gz", ".nii"])
@pytest.mark.parametrize("shape", [(5, 4, 3), (7, 6)])
def test_saved_labels_open_as_labels_where_they_were(tmp_path, suffix, shape):
    if len(shape) == 3:
        image = nifti(tmp_path, OBLIQUE)
    else:
        image = str(tmp_path / "a.npz")
        np.savez(image, imgs=np.zeros(shape, np.uint8), spacing=(0.7, 0.8, 3))
    ((data, look, _),) = read(image)
    labels = (np.arange(data.size) % 3).reshape(data.shape)
    path = str(tmp_path / f"labels{suffix}")
    hooks.write_labels_layer(path, labels, {"metadata": look["metadata"]})
    ((again, shown, kind),) = read(path)
    assert kind == "labels"
    np.testing.assert_array_equal(again, labels)
    assert made((again, shown, kind)).name == "labels"
    if suffix != ".npz":
        np.testing.assert_allclose(shown["scale"], look["scale"], rtol=1e-6)
    # Corrected, and saved where they came from.
    before = nib.load(path).affine if suffix != ".npz" else None
    hooks.write_labels_layer(path, again * 2, {"metadata": shown["metadata"]})
    np.testing.assert_array_equal(read(path)[0][0], labels * 2)
    if before is not None:
        np.testing.assert_array_equal(nib.load(path).affine, before)


def test_whole_numbers_alone_are_no_labels(tmp_path):
    assert [kind for _, _, kind in read(nifti(tmp_path))] == ["image"]


@pytest.mark.parametrize("shape", [(7, 6), (7, 6, 3)])
def test_a_2d_image_is_a_2d_layer(tmp_path, shape):
    path = tmp_path / "a.npz"
    np.savez(path, imgs=np.zeros(shape, np.uint8), boxes=[[1, 2, 4, 5]])
    (data, look, _), _ = layers = read(str(path))
    assert data.shape == shape
    assert look["rgb"] == (len(shape) == 3)
    assert len(look["scale"]) == 2
    image, shapes = map(made, layers)
    assert image.ndim == shapes.ndim == 2
    assert (image.units, image.axis_labels) == (shapes.units, shapes.axis_labels)
    np.testing.assert_array_equal(shapes.data[0].max(axis=0), (5, 4))
    target = str(tmp_path / "labels.npz")
    hooks.write_labels_layer(target, np.ones((7, 6), int), {"metadata": look["metadata"]})
    with np.load(target) as out:
        assert out["segs"].shape == (7, 6)


def test_no_window_for_what_is_no_ct():
    ((_, look, _),) = hooks.case_layers(Case(Volume(np.arange(24.0).reshape(2, 3, 4))))
    assert "contrast_limits" not in look


@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    scale=st.tuples(*[st.floats(0.2, 5)] * 3),
    translate=st.tuples(*[st.floats(-100, 100)] * 3),
    rotate=st.tuples(*[st.floats(-90, 90)] * 3),
    shear=st.tuples(*[st.floats(-0.5, 0.5)] * 3),
)
def test_any_layer_is_saved_where_napari_shows_it(tmp_path, scale, translate, rotate, shear):
    layers = pytest.importorskip("napari.layers")
    layer = layers.Labels(
        np.ones((2, 3, 4), int),
        scale=scale, translate=translate, rotate=rotate, shear=shear,
        affine=np.diag([1, -1, 2, 1.0]),
    )  # fmt: skip
    data, meta, _ = layer.as_layer_data_tuple()
    path = str(tmp_path / "labels.nii")
    assert hooks.write_labels_layer(path, data, meta) == [path]
    for index in ((0, 0, 0), (1, 0, 0), (0, 2, 0), (1, 2, 3)):
        z, y, x = layer.data_to_world(index)  # LPS
        stored = nib.load(path).affine @ (*index[::-1], 1)
        np.testing.assert_allclose(stored[:3], (-x, -y, z), atol=1e-3)


def test_a_2d_layer_without_metadata(tmp_path):
    path = str(tmp_path / "labels.nii.gz")
    hooks.write_labels_layer(path, np.ones((3, 4), int), {"scale": np.array([0.8, 0.7])})
    np.testing.assert_allclose(read_volume(path).spacing, (1, 0.8, 0.7), rtol=1e-6)


def test_labels_over_time_are_refused(tmp_path):
    with pytest.raises(FileFormatError, match="4 dimensions"):
        hooks.write_labels_layer(str(tmp_path / "l.npz"), np.zeros((2, 2, 2, 2), int), {})


def test_the_manifest_names_what_is_there():
    manifest = pytest.importorskip("npe2").PluginManifest.from_distribution("napari-medsam-lite")
    functions = {c.python_name for c in manifest.contributions.commands or []}
    (reader,) = manifest.contributions.readers
    assert reader.accepts_directories
    patterns = reader.filename_patterns
    assert all(any(fnmatch(f"ct{end}", p) for p in patterns) for end in SUFFIXES)
    for name in ("get_reader", "write_labels_layer"):
        assert f"napari_medsam_lite.io.hooks:{name}" in functions
        assert callable(getattr(hooks, name))


MADE = {"scale": (3, 0.8, 0.7), "translate": (5, 6, 7)}


@pytest.mark.parametrize("mark", [{"fingerprint": "ab", "role": "labels"}, {}, "mine", None])
def test_labels_on_an_image_that_another_reader_opened(tmp_path, mark):
    path = str(tmp_path / "labels.nii.gz")
    hooks.write_labels_layer(
        path, np.ones((3, 4, 5), int), MADE | {"metadata": {"medsam_lite": mark}}
    )
    written = read_volume(path)
    np.testing.assert_allclose(written.spacing, (3, 0.8, 0.7), rtol=1e-6)
    np.testing.assert_allclose(written.affine[:3, 3], (5, -6, -7))


@pytest.mark.parametrize("suffix", [".npz", ".nii.gz"])
@pytest.mark.parametrize("shape", [(6, 2, 5), (2, 4, 5), (4, 5)])
def test_labels_of_an_image_whose_data_was_replaced(tmp_path, suffix, shape):
    """They have another shape than the file, whose geometry then is not theirs."""
    ((_, look, _),) = read(nifti(tmp_path))
    path = str(tmp_path / f"labels{suffix}")
    place = {name: values[-len(shape) :] for name, values in MADE.items()}
    hooks.write_labels_layer(path, np.ones(shape, int), place | {"metadata": look["metadata"]})
    written = read_label_volume(path)
    assert written.shape[-len(shape) :] == shape
    np.testing.assert_allclose(written.spacing[-2:], (0.8, 0.7), rtol=1e-6)
    if suffix != ".npz":
        np.testing.assert_allclose(written.affine[1:3, 3], (-6, -7))


def test_a_real_folder_opens_in_napari(shared_dicom):
    viewer = pytest.importorskip("napari.components").ViewerModel()
    pytest.importorskip("npe2").PluginManager.instance().discover()
    path = shared_dicom / "ts_abdomen20_j2k"
    (layer,) = viewer.open(str(path), plugin="napari-medsam-lite")
    assert (layer.name, layer.data.shape) == ("CT", (20, 512, 512))
    np.testing.assert_allclose(layer.contrast_limits, (-110, 190))
    np.testing.assert_allclose(layer.scale, (2, 0.9765625, 0.9765625))
    # z, y, x of the first voxel, as its file has it (LPS).
    np.testing.assert_allclose(layer.translate, (-804.5, -437.51171875, -249.51171875))
    assert layer.axis_labels == ("z", "y", "x")
    other = type(viewer)()  # as any layer's are shown: by an older napari not at all
    other.add_image(np.zeros((2, 2, 2)), axis_labels=("z", "y", "x"))
    assert viewer.dims.axis_labels == other.dims.axis_labels


def test_boxes_of_one_name_are_one_segments_key_boxes():
    boxes = [
        Box3D(1, 2, 3, 1, 9, 9, key=1),
        Box3D(0, 1, 1, 0, 5, 5),
        Box3D(2, 2, 3, 2, 8, 9, key=2),
    ]
    volume = Volume(np.zeros((4, 12, 12), np.uint8))
    *_, (_, look, kind) = hooks.case_layers(Case(volume, boxes), ["liver", "", "liver"])
    assert kind == "shapes"
    assert list(look["features"]["label"]) == [1, 2, 1]
    assert look["features"]["name"] == ["liver", "", "liver"]
