"""Case files: everything is back, and nothing that is wrong gets in."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_medsam_lite.core.asked import Asked
from napari_medsam_lite.core.boxes import Box2D, Box3D, KeyBox
from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.core.labelset import Code
from napari_medsam_lite.core.segmentation import Segment, Segmentation, SliceRecord
from napari_medsam_lite.core.settings import Settings
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.io.case_record import CaseRecord, FileReference
from napari_medsam_lite.io.casefile import (
    case_path,
    is_case,
    labels_fingerprint,
    load_case,
    refer_to,
    save_case,
)
from napari_medsam_lite.io.runfile import run_record, save_run

SHAPE = (4, 20, 30)
SIDE = Code("SCT", "7771000", "Left")
KIDNEY = Segment(
    name="left kidney",
    number=3,
    color=(1, 2, 3),
    code=Code("SCT", "64033007", "Kidney", SIDE),
    ranges={0: (1, 3), 2: (0, 9)},
    records={(0, 2): SliceRecord(3, 2, 0.91, "between", "fills in")},
    visible=False,
    locked=True,
)
DRAWN = KeyBox(3, 0, Box3D(2, 5, 6, 2, 11, 12, key=2))
USED = Settings(preset="eager", device="cpu", window="40.0,400.0")
VOLUME = Asked("volume", USED, (DRAWN.box,), (3,), frozenset({7}), ((3, 1),), None, (), "ab")
CUT = Asked("live", replace(USED, axis=1), (Box3D(1, 4, 2, 5, 4, 8, 4),), (3,), only=((3, 4),))
GONE = Asked("deletion", Settings(), numbers=(9,))


def record(**changes):
    segmentation = Segmentation((KIDNEY, Segment(number=7)), 7, (VOLUME, CUT, GONE))
    case = CaseRecord(
        FileReference("scans/ct.nii.gz", "f" * 32),
        SHAPE,
        (2.5, 0.7, 0.7),
        segmentation,
        (DRAWN,),
        Settings(step="2"),
        FileReference("ct.nii.gz", "0" * 32),
        history=({"id": "1"},),
    )
    return replace(case, **changes)


def test_a_case_is_the_same_when_it_is_read_again(tmp_path):
    path = tmp_path / "ct.medsam.json"
    save_case(path, record(), np.diag([2.5, 0.7, 0.7, 1]))

    assert load_case(path) == record()


def test_painted_voxels_are_kept_in_few_bytes(tmp_path):
    path, painted = tmp_path / "a.medsam.json", np.zeros((40, 256, 256), bool)
    painted[20, 30:50, 60:90] = True
    save_case(path, record(shape=painted.shape, painted=painted))

    np.testing.assert_array_equal(load_case(path).painted, painted)
    assert path.stat().st_size < 10_000


def test_boxes_are_there_in_millimetres_too(tmp_path):
    path = tmp_path / "a.medsam.json"
    save_case(path, record(), np.diag([2.5, 0.5, 0.5, 1]))

    row = json.loads(path.read_text())["segments"][0]["boxes"][0]

    assert row["world_mm"] == {"first": [5.0, 2.5, 3.0], "last": [5.0, 5.5, 6.0]}


boxes = st.builds(
    lambda axis, index, y, x, h, w: (
        axis,
        Box3D.from_plane(Box2D(y, x, y + h, x + w), axis, index, index, index),
    ),
    st.integers(0, 2),
    st.integers(0, 500),
    st.integers(-5, 500),
    st.integers(-5, 500),
    st.integers(1, 90),
    st.integers(1, 90),
)
segments = st.builds(
    Segment,
    name=st.text(max_size=20),
    number=st.integers(1, 65535),
    color=st.tuples(*[st.integers(0, 255)] * 3),
    ranges=st.dictionaries(st.integers(0, 2), st.tuples(st.integers(0, 9), st.integers(0, 9))),
    visible=st.booleans(),
    locked=st.booleans(),
)


@given(
    st.lists(segments, max_size=4, unique_by=lambda s: s.number),
    st.lists(boxes, max_size=5),
    st.lists(st.integers(0, 9), max_size=2).map(tuple),
)
def test_whatever_is_drawn_is_read_again(tmp_path_factory, found, drawn, leading):
    path = tmp_path_factory.mktemp("case") / "a.medsam.json"
    numbers = [each.number for each in found] or [1]
    found = found or [Segment(number=1)]
    rows = tuple(
        KeyBox(numbers[i % len(numbers)], axis, box, leading) for i, (axis, box) in enumerate(drawn)
    )
    rows = tuple(sorted(rows, key=lambda row: numbers.index(row.number)))
    case = record(segmentation=Segmentation(found, numbers[0]), boxes=rows, leading=leading)
    save_case(path, case)

    assert load_case(path) == case


def test_segments_carry_the_boxes_of_the_volume_that_was_saved():
    other = replace(DRAWN, leading=(4,))

    here = record(boxes=(DRAWN, other)).with_boxes.get(3)
    there = record(boxes=(DRAWN, other), leading=(4,)).with_boxes.get(3)

    assert here.boxes == there.boxes == (DRAWN.box,)


def test_files_are_found_from_the_case_whatever_folder_is_the_working_one(tmp_path):
    case = tmp_path / "out" / "a.medsam.json"
    image = refer_to(tmp_path / "scans" / "ct.nii.gz", case, "f")

    assert image.path == "../scans/ct.nii.gz"
    assert image.beside(case) == tmp_path / "scans" / "ct.nii.gz"


def test_names():
    assert case_path("a/ct.nii.gz") == Path("a/ct.medsam.json")
    assert is_case("A.MEDSAM.JSON") and not is_case("a.run.json")


def test_every_voxel_of_labels_counts_and_their_type_does_not():
    labels = np.zeros((3, 40, 40), np.uint8)
    other = labels.copy()
    other[1, 3, 5] = 1

    assert labels_fingerprint(labels) == labels_fingerprint(labels.astype(np.uint16))
    assert labels_fingerprint(labels) != labels_fingerprint(other)


def test_a_run_file_is_a_case_of_one_run(tmp_path):
    volume = Volume(np.zeros(SHAPE, np.int16), (2.5, 0.7, 0.7), name="ct.nii.gz")
    box = Box3D(0, 5, 6, 3, 11, 12)
    slices = [SliceRecord(4, 1, 0.8)]
    run = run_record(volume, [box], USED, "ab", names=["liver"], ids=[4], slices=slices)
    save_run(tmp_path / "ct.run.json", run, volume.affine)

    case = load_case(tmp_path / "ct.run.json")

    assert case.asked == (Asked("volume", USED, (box,), (4,), checkpoint_sha256="ab"),)
    assert case.with_boxes.get(4).name == "liver"
    assert case.segmentation.get(4).records == {(0, 1): slices[0]}
    assert case.image == FileReference("ct.nii.gz")


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        (("medsam_case",), 2, "update napari-medsam-lite"),
        (("image", "shape"), [0, 1, 2], "shape"),
        (("image", "spacing"), [1, 1, -1], "spacing"),
        (("segments", 0, "number"), 70000, "number"),
        (("segments", 0, "color"), [1, 2, 999], "color"),
        (("segments", 0, "boxes", 0, "axis"), 3, "axis"),
        (("segments", 0, "boxes", 0, "key"), None, "key"),
        (("segments", 0, "ranges"), {"0": [1]}, "damaged"),
        (("segments", 0, "locked"), "yes", "locked"),
        (("segments", 0, "masks", 0, "source"), "guessed", "source"),
        (("asked", 0, "kind"), "told", "kind"),
        (("asked", 0, "way"), 5, "way"),
        (("asked", 0, "numbers"), [], "numbers"),
        (("settings", "overlap"), "none", "overlap"),
        (("painted",), "AAAA", "mask"),
        (("painted",), 5, "mask"),
        (("current",), "1", "current"),
        (("labels",), None, "labels"),
    ],
)
def test_what_is_wrong_is_told_in_one_sentence(tmp_path, place, value, told):
    path = tmp_path / "a.medsam.json"
    save_case(path, record())
    content = json.loads(path.read_text())
    inner = content
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    path.write_text(json.dumps(content))

    with pytest.raises(FileFormatError, match=told) as error:
        load_case(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"medsam_case": 1}', '"x"', "\x00"])
def test_other_files_are_no_cases(tmp_path, text):
    path = tmp_path / "a.medsam.json"
    path.write_text(text)

    with pytest.raises(FileFormatError):
        load_case(path)
