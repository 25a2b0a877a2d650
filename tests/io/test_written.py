"""A file is called saved only after what it holds was compared with what went in."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.core.label_volume import LabelVolume
from napari_medsam_lite.core.labelset import LabelClass
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.io import formats, registry
from napari_medsam_lite.io.written import check_written

DATA = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
WRITTEN = LabelVolume(DATA, classes=(LabelClass(1, "liver", (1, 2, 3)),))


def moved(by: float) -> np.ndarray:
    affine = WRITTEN.affine.copy()
    affine[2, 3] += by
    return affine


@pytest.mark.parametrize(
    "found",
    [
        WRITTEN,
        replace(WRITTEN, classes=()),
        replace(WRITTEN, affine=moved(5e-4)),
        LabelVolume(
            DATA[:, ::-1],
            affine=WRITTEN.affine
            @ np.array([[1, 0, 0, 0], [0, -1, 0, 2], [0, 0, 1, 0], [0, 0, 0, 1.0]]),
        ),
    ],
)
def test_the_same_labels_in_the_same_place_are_saved(found):
    check_written("l.nii", found, WRITTEN, keeps_place=True)


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (replace(WRITTEN, data=DATA + 1), "differ"),
        (replace(WRITTEN, data=DATA[1:]), "differ"),
        (replace(WRITTEN, data=DATA[:, :, ::-1]), "differ"),
        (replace(WRITTEN, affine=moved(0.01)), "lie in another place"),
        (replace(WRITTEN, affine=moved(1.0)), "differ"),
        (replace(WRITTEN, classes=(LabelClass(1, "spleen", (1, 2, 3)),)), "have other names"),
    ],
)
def test_other_labels_are_not(found, sentence):
    with pytest.raises(FileFormatError, match=f"^l.nii was not saved: .* {sentence}"):
        check_written("l.nii", found, WRITTEN, keeps_place=True)


def test_without_a_place_voxels_are_compared():
    check_written("l.npz", replace(WRITTEN, affine=moved(70.0)), WRITTEN, keeps_place=False)
    with pytest.raises(FileFormatError, match="differ"):
        check_written("l.npz", replace(WRITTEN, data=DATA * 0), WRITTEN, keeps_place=False)


@pytest.mark.parametrize("name", ["l.nii.gz", "l.npz"])
def test_a_writer_that_errs_leaves_the_old_file(tmp_path, name, monkeypatch):
    path = tmp_path / name
    volume = Volume(np.zeros(DATA.shape, np.int16))
    formats.write_labels(path, DATA, volume)
    before = path.read_bytes()
    rows = [
        replace(row, write=lambda p, labels, case, w=row.write: w(p, erring(labels), case))
        for row in registry.FORMATS
    ]
    monkeypatch.setattr(registry, "FORMATS", rows)
    with pytest.raises(FileFormatError, match=f"^{re.escape(str(path))} was not saved"):
        formats.write_labels(path, DATA, volume)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [name]


def erring(labels: LabelVolume) -> LabelVolume:
    wrong = labels.data.copy()
    wrong[0, 1, 2] += 1
    return replace(labels, data=wrong)
