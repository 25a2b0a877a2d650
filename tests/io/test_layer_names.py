"""Names and colours between files and napari's own Labels layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from napari.layers import Labels

from napari_medsam_lite.core.labelset import BUILT_IN, Code, LabelClass, class_named, color_of
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.io import hooks
from napari_medsam_lite.io.formats import read_label_volume, write_labels
from napari_medsam_lite.io.layer_names import classes_of_layer, classes_to_layer

DATA = np.arange(60, dtype=np.uint8).reshape(3, 4, 5) % 3
OWN = LabelClass(1, "my liver, größer", (12, 34, 56), Code("SCT", "10200004", "Liver"))
PLAIN = LabelClass(2, "vessel", (200, 100, 0))


@pytest.mark.parametrize("suffix", [".nii.gz", ".npz", ".seg.nrrd"])
def test_names_and_colours_go_through_a_layer_and_back(tmp_path, suffix):
    path = tmp_path / f"l{suffix}"
    write_labels(path, DATA, Volume(np.zeros(DATA.shape), (3, 0.8, 0.7)), classes=(OWN, PLAIN))
    ((data, look, kind),) = hooks.get_reader(str(path))(str(path))
    assert kind == "labels"
    layer = Labels(data, **look)
    assert list(layer.features["index"]) == [0, 1, 2]
    assert list(layer.features["name"]) == ["", OWN.name, PLAIN.name]
    for each in (OWN, PLAIN):
        shown = layer.get_color(each.number)
        np.testing.assert_allclose(shown, [*(p / 255 for p in each.color), 1], atol=1e-6)
    again, meta, _ = layer.as_layer_data_tuple()
    target = tmp_path / f"again{suffix}"
    hooks.write_labels_layer(str(target), again, meta)
    assert read_label_volume(target).classes == (OWN, PLAIN)


def test_a_name_that_is_given_in_napari_has_its_code(tmp_path):
    features = {"index": [0, 1, 2], "name": ["", "left kidney", "Segment 2"]}
    layer = Labels(DATA, features=features)
    data, meta, _ = layer.as_layer_data_tuple()
    path = tmp_path / "l.seg.nrrd"
    hooks.write_labels_layer(str(path), data, meta)
    kidney = BUILT_IN["abdomen"].named("left kidney")
    assert read_label_volume(path).classes == (
        LabelClass(1, "left kidney", color_of(1), kidney.code),
        LabelClass(2, "Segment 2", color_of(2)),
    )


def test_a_code_belongs_to_its_name():
    renamed = {"features": {"index": [1], "name": ["spleen"]}}
    assert classes_of_layer(renamed, (OWN,)) == (class_named(1, "spleen"),)


@pytest.mark.parametrize(
    "meta",
    [
        {},
        {"features": None},
        {"features": {"volume": [1.0]}},
        {"features": {"index": [0, -1, 70_000], "name": ["", "a", "b"]}},
    ],
)
def test_other_features_name_nothing(meta):
    assert classes_of_layer(meta) == ()


def test_no_classes_change_no_layer():
    assert classes_to_layer(()) == {}


def test_segments_of_a_real_file_are_shown_by_name():
    folder = Path(__file__).parents[2].parent / "shared" / "dicom" / "ct_with_seg"
    if not folder.is_dir():
        pytest.skip(f"the real DICOM files are not here ({folder})")
    path = str(folder / "partial_overlaps.dcm")
    ((data, look, kind),) = hooks.get_reader(path)(path)
    layer = Labels(data, **look)
    assert kind == "labels"
    assert list(layer.features["name"])[1:3] == ["GREEN", "ORANGE"]
    np.testing.assert_allclose(layer.get_color(1)[:3], np.divide((128, 174, 128), 255), atol=1e-6)
