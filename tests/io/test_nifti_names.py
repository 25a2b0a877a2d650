"""Names and colours inside NIfTI files, and the label set beside them."""

from __future__ import annotations

import struct
from xml.etree import ElementTree

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_medsam_lite.core.labelset import (
    BUILT_IN,
    Code,
    LabelClass,
    LabelSet,
    color_of,
    in_one_line,
)
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.io.formats import read_label_volume, write_labels
from napari_medsam_lite.io.labelsets import write_label_set
from napari_medsam_lite.io.nifti_names import classes_from_extensions, classes_to_extension

VOLUME = Volume(np.zeros((2, 3, 4), np.int16))
LABELS = np.arange(24, dtype=np.uint16).reshape(2, 3, 4) % 3
LIVER = LabelClass(1, "liver", (230, 159, 0), Code("SCT", "10200004", "Liver"))
ODD = LabelClass(2, 'a "b" & <c>, Gefäß ]]>', (0, 158, 115))

classes = st.builds(
    LabelClass,
    st.integers(1, 65535),
    st.text(st.characters(codec="utf-8"), max_size=12),
    st.tuples(*[st.integers(0, 255)] * 3),
).map(in_one_line)


def as_block(content: bytes, code: int = 0, order: str = "<") -> bytes:
    padded = content + b"\0" * (-(len(content) + 8) % 16)
    return b"\1\0\0\0" + struct.pack(f"{order}2i", len(padded) + 8, code) + padded


@given(st.lists(classes, max_size=6, unique_by=lambda c: c.number), st.sampled_from("<>"))
def test_names_and_colours_come_back(some, order):
    block = as_block(classes_to_extension(some), order=order)
    assert classes_from_extensions(block) == tuple(some)


@pytest.mark.parametrize("name", ["l.nii", "l.nii.gz"])
def test_other_programs_find_the_label_table(tmp_path, name):
    write_labels(tmp_path / name, LABELS, VOLUME, classes=(LIVER, ODD))
    image = nib.load(tmp_path / name)
    np.testing.assert_array_equal(np.asanyarray(image.dataobj), LABELS.T)
    (extension,) = image.header.extensions
    assert extension.get_code() == 0
    # The way to it, and the attributes, are those that TotalSegmentator's own reader expects.
    root = ElementTree.fromstring(extension.get_content().rstrip(b"\0"))
    assert root.tag == "CaretExtension"
    rows = root.findall("./VolumeInformation/LabelTable/Label")
    assert [(row.get("Key"), row.text) for row in rows] == [
        ("0", "background"),
        ("1", "liver"),
        ("2", ODD.name),
    ]
    assert [float(rows[1].get(c)) for c in ("Red", "Green", "Blue", "Alpha")] == pytest.approx(
        [230 / 255, 159 / 255, 0, 1], abs=1e-6
    )


def test_a_file_of_total_segmentator_has_its_names(tmp_path):
    xml = (
        b'<?xml version="1.0" encoding="UTF-8"?> <CaretExtension>  <Date><![CDATA[2013-07-14]]>'
        b'</Date>   <VolumeInformation Index="0">   <LabelTable>\n'
        b'<Label Key="5" Red="0.5" Green="1.0" Blue="0.0" Alpha="1"><![CDATA[liver]]></Label>\n\n'
        b"  </LabelTable>  <VolumeType><![CDATA[Label]]></VolumeType>   </VolumeInformation>"
        b"</CaretExtension>\n              "
    )
    image = nib.Nifti1Image(LABELS.T, np.eye(4))
    image.header.extensions.append(nib.nifti1.Nifti1Extension(6, b"a comment"))
    image.header.extensions.append(nib.nifti1.Nifti1Extension(0, xml))
    image.to_filename(tmp_path / "s.nii.gz")
    assert read_label_volume(tmp_path / "s.nii.gz").classes == (
        LabelClass(5, "liver", (128, 255, 0)),
    )


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"\1\0\0\0",
        b"\1\0\0\0" + struct.pack("<2i", 1 << 30, 0) + b"<CaretExtension/>",
        b"\1\0\0\0" + struct.pack("<2i", 0, 0) * 4,
        as_block(b"<CaretExtension><Label"),
        as_block(b"<CaretExtension><Label Key='x' Red='1' Green='1' Blue='1'/></CaretExtension>"),
        as_block(b"<CaretExtension><Label Key='1'/></CaretExtension>"),
        as_block(b"<CaretExtension><Label Key='1' Red='nan' Green='1' Blue='1'/></CaretExtension>"),
        as_block(
            b'<!DOCTYPE x [<!ENTITY a "bomb">]><CaretExtension><Label Key="1" Red="1" Green="1" '
            b'Blue="1">&a;</Label></CaretExtension>'
        ),
        as_block(b"<CaretExtension/>", code=4),
        as_block(b"<CaretExtension/>"),
    ],
)
def test_a_damaged_table_names_nothing(block):
    assert classes_from_extensions(block) == ()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_any_bytes_are_read_without_harm(content):
    assert classes_from_extensions(b"\1\0\0\0" + content) == ()


@pytest.mark.parametrize("name", ["l.nii.gz", "l.nii", "l.npz"])
def test_codes_are_kept_beside_the_file(tmp_path, name):
    write_labels(tmp_path / name, LABELS, VOLUME, classes=(LIVER, ODD))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["l.labels.json", name]
    assert read_label_volume(tmp_path / name).classes == (LIVER, ODD)


def test_names_inside_the_file_count_more_than_those_beside(tmp_path):
    path = tmp_path / "l.nii.gz"
    write_labels(path, LABELS, VOLUME, classes=(LIVER, ODD))
    other = LabelClass(1, "spleen", (1, 2, 3), Code("SCT", "78961009", "Spleen"))
    write_label_set(tmp_path / "l.labels.json", LabelSet("", (other,)))
    assert [each.name for each in read_label_volume(path).classes] == ["liver", ODD.name]
    (tmp_path / "l.labels.json").write_bytes(b"{")
    assert [each.name for each in read_label_volume(path).classes] == ["liver", ODD.name]


def test_labels_without_names_are_one_file(tmp_path):
    write_labels(tmp_path / "l.nii.gz", LABELS, VOLUME)
    assert [p.name for p in tmp_path.iterdir()] == ["l.nii.gz"]
    assert nib.load(tmp_path / "l.nii.gz").header.extensions == []
    assert read_label_volume(tmp_path / "l.nii.gz").classes == ()


def test_all_117_names_fit(tmp_path):
    total = BUILT_IN["TotalSegmentator"].classes
    write_labels(tmp_path / "l.nii.gz", LABELS, VOLUME, classes=total)
    assert read_label_volume(tmp_path / "l.nii.gz").classes == total


def test_a_name_of_several_lines_becomes_one(tmp_path):
    two_lines = LabelClass(1, "liver\n(left lobe)\x00", color_of(1))
    write_labels(tmp_path / "l.nii.gz", LABELS, VOLUME, classes=(two_lines,))
    assert read_label_volume(tmp_path / "l.nii.gz").classes[0].name == "liver (left lobe)"
