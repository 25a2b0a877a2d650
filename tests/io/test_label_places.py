"""Where labels lie, by another library than the one that wrote them."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.io.affine import swap_axis_order
from napari_medsam_lite.io.formats import read_label_volume, read_volume, write_labels

SHAPE = (3, 4, 5)


@pytest.mark.parametrize("name", ["l.nii.gz", "l.nii", "l.seg.nrrd"])
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    angles=st.one_of(st.just((0, 0, 0)), st.tuples(*[st.floats(-180, 180)] * 3)),
    flips=st.tuples(*[st.sampled_from([-1, 1])] * 3),
    spacing=st.tuples(*[st.floats(0.2, 10)] * 3),
    offset=st.tuples(*[st.floats(-500, 500)] * 3),
    kind=st.sampled_from([bool, np.uint8, np.int16, np.uint16, np.int64]),
    from_file=st.booleans(),
    data=st.data(),
)
def test_simpleitk_finds_each_voxel_where_it_lay(
    tmp_path, name, angles, flips, spacing, offset, kind, from_file, data
):
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    affine[:3, :3] *= np.multiply(flips, spacing)
    affine[:3, 3] = offset
    volume = Volume(np.zeros(SHAPE, np.int16), spacing, affine)
    if from_file:
        image = nib.Nifti1Image(volume.data.T, swap_axis_order(affine))
        image.header.set_xyzt_units("mm")
        image.to_filename(tmp_path / "ct.nii")
        volume = read_volume(tmp_path / "ct.nii")
    most = {bool: 1, np.uint8: 255, np.int16: 30_000}.get(kind, 65_535)
    values = st.lists(st.sampled_from([0, 1, most]), min_size=60, max_size=60)
    labels = np.array(data.draw(values)).reshape(SHAPE).astype(kind)
    write_labels(tmp_path / name, labels, volume)

    found = SimpleITK.ReadImage(str(tmp_path / name))
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(found), labels)
    for z, y, x in data.draw(st.lists(st.tuples(*(st.integers(0, n - 1) for n in SHAPE)))):
        left, back, up = found.TransformIndexToPhysicalPoint((x, y, z))
        world = (volume.affine @ (z, y, x, 1))[:3]
        np.testing.assert_allclose(world, (up, -back, -left), rtol=0, atol=1e-3)
    again = read_label_volume(tmp_path / name)
    np.testing.assert_array_equal(again.data, labels)
