"""Segmentations of 3D Slicer: written for others, read from others, and damaged."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import nrrd
import numpy as np
import pytest
import SimpleITK
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from napari_medsam_lite.core.errors import FileFormatError, MedSAMLiteError
from napari_medsam_lite.core.labelset import BUILT_IN, Code, LabelClass, color_of, in_one_line
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.io.folders import list_cases
from napari_medsam_lite.io.formats import (
    holds_labels,
    read_case,
    read_label_volume,
    write_labels,
)

SHAPE = (3, 4, 5)
VOLUME = Volume(np.zeros(SHAPE, np.int16), (2.0, 0.8, 0.7))
LABELS = (np.arange(60).reshape(SHAPE) % 4).astype(np.uint8)
KIDNEY = BUILT_IN["abdomen"].named("left kidney")
again = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@st.composite
def places(draw):
    """Spacing and affine: oblique or straight, flipped or not, offset, anisotropic."""
    angles = draw(st.one_of(st.just((0, 0, 0)), st.tuples(*[st.floats(-180, 180)] * 3)))
    flips = draw(st.tuples(*[st.sampled_from([-1, 1])] * 3))
    spacing = draw(st.tuples(*[st.floats(0.1, 10)] * 3))
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    affine[:3, :3] *= np.multiply(flips, spacing)
    affine[:3, 3] = draw(st.tuples(*[st.floats(-500, 500)] * 3))
    return spacing, affine


texts = st.text(st.characters(codec="utf-8"), max_size=12)
codes = st.none() | st.sampled_from([each.code for each in BUILT_IN["TotalSegmentator"].classes])
colors = st.tuples(*[st.integers(0, 255)] * 3)
classes = st.builds(LabelClass, st.integers(1, 900), texts, colors, codes).map(in_one_line)


@again
@given(
    place=places(),
    kind=st.sampled_from([np.uint8, np.int16, np.int64, bool]),
    some=st.lists(classes, max_size=4, unique_by=lambda c: c.number),
    data=st.data(),
)
def test_what_is_written_is_read_by_us_and_by_simpleitk(tmp_path, place, kind, some, data):
    spacing, affine = place
    most = 1 if kind is bool else 120 if kind is np.uint8 else 900
    numbers = [each.number for each in some if each.number <= most]
    values = st.sampled_from([0, 1, most, *numbers])
    labels = np.array(data.draw(st.lists(values, min_size=60, max_size=60))).reshape(SHAPE)
    labels = labels.astype(kind)
    path = tmp_path / "l.seg.nrrd"
    write_labels(path, labels, Volume(np.zeros(SHAPE), spacing, affine), classes=some)

    found = read_label_volume(path)
    np.testing.assert_array_equal(found.data, labels)
    np.testing.assert_allclose(found.affine, affine, atol=1e-9)
    named = {each.number: each for each in found.classes}
    assert all(named[each.number] == each for each in some)
    assert set(named) == {c.number for c in some} | set(np.unique(labels).astype(int)) - {0}

    image = SimpleITK.ReadImage(str(path))
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image), labels)
    for z, y, x in data.draw(st.lists(st.tuples(*(st.integers(0, n - 1) for n in SHAPE)))):
        left, back, up = image.TransformIndexToPhysicalPoint((x, y, z))
        np.testing.assert_allclose(
            (affine @ (z, y, x, 1))[:3], (up, -back, -left), rtol=0, atol=1e-3
        )


def test_the_header_is_that_of_slicer(tmp_path):
    spleen = LabelClass(3, 'Milz, "groß"', (255, 0, 51))
    write_labels(tmp_path / "l.seg.nrrd", LABELS, VOLUME, classes=(spleen, KIDNEY))
    image = SimpleITK.ReadImage(str(tmp_path / "l.seg.nrrd"))
    meta = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys()}
    assert meta["Segmentation_ContainedRepresentationNames"] == "Binary labelmap|"
    assert meta["Segmentation_MasterRepresentation"] == "Binary labelmap"
    assert [meta[f"Segment{i}_LabelValue"] for i in range(4)] == ["1", "2", "3", "13"]
    assert meta["Segment0_Name"] == "label 1"
    assert meta["Segment2_Name"] == spleen.name
    assert meta["Segment2_Color"] == "1.000000 0.000000 0.200000"
    assert meta["Segment2_ID"] == "Segment_3"
    assert meta["Segment2_Extent"] == "0 4 0 3 0 2"
    assert meta["Segment3_Extent"] == "0 -1 0 -1 0 -1"
    assert meta["Segment3_Tags"].startswith(
        "TerminologyEntry:Segmentation category and type - 3D Slicer General Anatomy list"
        "~SCT^123037004^Anatomical Structure~SCT^64033007^Kidney~SCT^7771000^Left~"
    )
    # slicerio reads by pynrrd.
    voxels, header = nrrd.read(str(tmp_path / "l.seg.nrrd"))
    assert voxels.shape == SHAPE[::-1] and header["Segment3_Layer"] == "0"


def write_as_slicer(path: Path, voxels: np.ndarray, **fields: object) -> None:
    """By pynrrd, fastest axis first."""
    header = {
        "space": "left-posterior-superior",
        "space directions": [[0.7, 0, 0], [0, 0.8, 0], [0, 0, 2]],
        "space origin": [1, 2, 3],
        "kinds": ["domain"] * 3,
    }
    if voxels.ndim == 4:
        header["space directions"] = [[np.nan] * 3, *header["space directions"]]
        header["kinds"] = ["list", *header["kinds"]]
    header |= {key: str(value) for key, value in fields.items()}
    nrrd.write(str(path), voxels, header)


@pytest.mark.filterwarnings("ignore:datetime:DeprecationWarning")
def test_layers_become_labels_and_their_overlap_is_told(tmp_path):
    voxels = np.zeros((2, 5, 4, 3), np.uint8)
    voxels[0, :3] = 1
    voxels[1, 2:] = 1
    path = tmp_path / "l.seg.nrrd"
    layers = {"Segment0_Layer": 0, "Segment1_Layer": 1}
    both = {f"Segment{i}_LabelValue": 1 for i in range(2)}
    names = {"Segment0_ID": "a", "Segment0_Name": "A", "Segment1_ID": "b", "Segment1_Name": "B"}
    write_as_slicer(path, voxels, **layers, **both, **names)
    found = read_label_volume(path)
    wanted = np.zeros((3, 4, 5), int)
    wanted[..., :3] = 1
    wanted[..., 2:] = 2
    np.testing.assert_array_equal(found.data, wanted)
    assert [(each.number, each.name) for each in found.classes] == [(1, "A"), (2, "B")]
    assert found.notes == ("Segments overlap in 12 voxels; there the later one is kept.",)
    np.testing.assert_allclose(found.affine @ (0, 0, 0, 1), (3, -2, -1, 1))
    assert found.spacing == pytest.approx((2, 0.8, 0.7))


@pytest.mark.filterwarnings("ignore:datetime:DeprecationWarning")
def test_what_slicer_says_of_nothing_is_no_code(tmp_path):
    tissue = "TerminologyEntry:x~SCT^85756007^Tissue~SCT^85756007^Tissue~^^~y~^^~^^|"
    liver = "Segmentation.Status:done|TerminologyEntry:x~SCT^1^A~SCT^10200004^Liver~^^~y~^^~^^|"
    for tags, code in ((tissue, None), (liver, Code("SCT", "10200004", "Liver")), ("x", None)):
        path = tmp_path / "l.seg.nrrd"
        write_as_slicer(path, LABELS.T, Segment0_ID="s", Segment0_LabelValue=2, Segment0_Tags=tags)
        assert read_label_volume(path).classes == (LabelClass(2, "label 2", color_of(2), code),)


def test_it_is_no_image(tmp_path):
    path = tmp_path / "L.SEG.NRRD"
    write_labels(path, LABELS, VOLUME)
    assert holds_labels(path)
    with pytest.raises(FileFormatError, match="it holds labels, not an image"):
        read_case(path)
    with pytest.raises(FileFormatError, match="is no folder with files"):
        list_cases(tmp_path)


def head(**changes: str) -> bytes:
    fields = {
        "type": "unsigned char",
        "dimension": "3",
        "space": "left-posterior-superior",
        "sizes": "5 4 3",
        "space directions": "(1,0,0) (0,1,0) (0,0,1)",
        "endian": "little",
        "encoding": "raw",
        "space origin": "(0,0,0)",
    } | {key.replace("_", " "): value for key, value in changes.items()}
    lines = "".join(f"{key}: {value}\n" for key, value in fields.items() if value)
    return f"NRRD0004\n{lines}\n".encode()


VOXELS = bytes(60)
DAMAGED = {
    "empty": b"",
    "other": b"hello\n\n",
    "cut header": head()[:40],
    "cut": head() + VOXELS[:-1],
    "cut gzip": head(encoding="gzip") + gzip.compress(VOXELS)[:-9],
    "huge": head(sizes="100000 100000 10") + VOXELS,
    "huge gzip": head(sizes="100000 100000 10", encoding="gzip") + gzip.compress(VOXELS),
    "overflow": head(sizes=f"{1 << 40} {1 << 40} {1 << 40}") + VOXELS,
    "negative": head(sizes="-5 -4 3") + VOXELS,
    "words": head(sizes="a b c") + VOXELS,
    "no sizes": head(sizes="") + VOXELS,
    "no type": head(type="") + VOXELS,
    "block": head(type="block") + VOXELS,
    "float": head(type="float") + VOXELS * 4,
    "two axes": head(sizes="5 12") + VOXELS,
    "hex": head(encoding="hex") + VOXELS,
    "elsewhere": head(data_file="../../secret.raw") + VOXELS,
    "flat": head(space_directions="(1,0,0) (1,0,0) (0,0,1)") + VOXELS,
    "nan": head(space_directions="(nan,0,0) (0,1,0) (0,0,1)") + VOXELS,
    "twice": head()[:-1] + b"type: float\n\n" + VOXELS,
    "color": head()[:-1] + b"Segment0_ID:=a\nSegment0_Color:=red\n\n" + VOXELS,
    "value": head()[:-1] + b"Segment0_ID:=a\nSegment0_LabelValue:=99999\n\n" + VOXELS,
    "no layer": head(
        dimension="4", sizes="2 5 3 2", space_directions="none (1,0,0) (0,1,0) (0,0,1)"
    )[:-1]
    + b"Segment0_ID:=a\nSegment0_Layer:=7\n\n"
    + VOXELS,
    "long line": b"NRRD0004\n" + b"a" * (17 << 20),
    "binary": struct.pack("<20Q", *range(20)),
}


def test_no_more_is_unpacked_than_the_header_tells(tmp_path):
    path = tmp_path / "l.seg.nrrd"
    path.write_bytes(head(encoding="gzip") + gzip.compress(bytes(50_000_000)))
    assert read_label_volume(path).shape == SHAPE


def test_a_place_that_is_not_told_is_noted(tmp_path):
    path = tmp_path / "l.seg.nrrd"
    path.write_bytes(head(space="") + VOXELS)
    (note,) = read_label_volume(path).notes
    assert "does not say how the patient lay" in note


@pytest.mark.parametrize("what", DAMAGED)
def test_a_damaged_file_is_told_in_one_sentence(tmp_path, what):
    path = tmp_path / "l.seg.nrrd"
    path.write_bytes(DAMAGED[what])
    with pytest.raises(MedSAMLiteError) as told:
        read_label_volume(path)
    assert str(path) in str(told.value) and "\n" not in str(told.value)
