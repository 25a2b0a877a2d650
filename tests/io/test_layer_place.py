import nibabel as nib
import numpy as np
import pytest

from napari_medsam_lite.io import hooks
from napari_medsam_lite.io.layer_place import labels_in_place

LABELS = np.zeros((4, 5, 6), np.uint8)
OBLIQUE = np.array([[0.7, 0.1, 0, 10], [-0.1, 0.8, 0.5, 20], [0, -0.3, 3, 30], [0, 0, 0, 1]])


def as_napari_nifti(affine):
    """World and metadata of a layer of its: the place is in the metadata alone."""
    sizes = np.linalg.norm(affine[:3, :3], axis=0)[::-1]
    world = np.diag([*-sizes, 1.0])
    world[:3, 3] = 39, 23, 13
    return world, {"affine": affine, "coordinate_system": "RAS+"}


def test_labels_on_an_image_of_napari_nifti_lie_where_its_file_says():
    found = labels_in_place(LABELS, *as_napari_nifti(OBLIQUE))
    assert found.notes == ()
    x, y, z = (OBLIQUE @ (3, 2, 1, 1))[:3]
    np.testing.assert_allclose(found.affine @ (1, 2, 3, 1), (z, y, x, 1))


@pytest.mark.parametrize(
    "change",
    [
        {"affine": np.eye(3)},
        {"affine": None},
        {"coordinate_system": "LPS+"},
        {"affine": 2 * OBLIQUE},
    ],
)
def test_what_is_only_like_it_is_not_believed(change):
    world, metadata = as_napari_nifti(OBLIQUE)
    found = labels_in_place(LABELS, world, metadata | change)
    assert "does not tell which way the patient lies" in found.notes[0]
    np.testing.assert_allclose(found.spacing, np.abs(np.diag(world))[:3])


@pytest.mark.parametrize("affine", [np.diag([-0.7, -0.8, 3.0, 1]), OBLIQUE])
def test_with_napari_nifti_itself(tmp_path, affine):
    """Every voxel that is labelled lies in the saved file where it lies in the image's."""
    reader = pytest.importorskip("napari_nifti._reader")
    data = np.random.default_rng(0).permutation(6 * 5 * 4).reshape(6, 5, 4).astype(np.int16)
    nib.Nifti1Image(data, affine).to_filename(tmp_path / "ct.nii.gz")
    ((voxels, look, _),) = reader.reader_function(str(tmp_path / "ct.nii.gz"))
    labels = (voxels > 60).astype(np.uint8)
    hooks.write_labels_layer(str(tmp_path / "l.nii.gz"), labels, look)
    image, saved = nib.load(tmp_path / "ct.nii.gz"), nib.load(tmp_path / "l.nii.gz")
    places = [
        nib.affines.apply_affine(each.affine, np.argwhere(mask))
        for each, mask in ((image, data > 60), (saved, np.asarray(saved.dataobj) == 1))
    ]
    mine, theirs = (p[np.lexsort(np.rint(p * 100).T)] for p in places)
    assert np.abs(mine - theirs).max() < 1e-3
