"""A DICOM folder as a user gives it to ``segment``, with the real network."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_medsam_lite.cli import main

SHARED = Path(__file__).parents[2].parent / "shared"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not SHARED.is_dir(), reason=f"the real files are not here ({SHARED})"),
]
BOX = "200,200,9,260,260,9"


def test_labels_lie_on_the_chosen_series(tmp_path, capsys):
    out = tmp_path / "labels.nii.gz"
    options = ["--box", BOX, "--preset", "sdpa", "--device", "cpu", "--json"]
    assert (
        main(["segment", str(SHARED / "dicom"), "--series", "body", "-o", str(out), *options]) == 0
    )
    (row,) = json.loads(capsys.readouterr().out)
    assert row["notes"] == ["2 files that hold no image are left out."]
    labels = nib.load(out)
    z, y, x = np.argwhere(np.asarray(labels.dataobj).T == 1).T
    assert set(z) == {9}
    world = labels.affine @ [x.mean(), y.mean(), 9, 1]
    ct = nib.load(SHARED / "ct512" / "ts_abdomen20" / "ct.nii.gz")
    np.testing.assert_allclose(world, ct.affine @ [x.mean(), y.mean(), 9, 1], atol=1e-3)


def test_a_choice_is_asked_for(tmp_path, capsys):
    ct = SHARED / "dicom" / "ct_with_seg"
    assert main(["segment", str(ct), "--series", "knee", "-o", str(tmp_path / "x.nii.gz")]) == 1
    (line,) = filter(None, capsys.readouterr().err.splitlines())
    assert "no series that fit 'knee': 1 CT 2 (3 x 512 x 512)" in line
    assert list(tmp_path.iterdir()) == []
