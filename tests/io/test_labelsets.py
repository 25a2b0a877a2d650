"""Label sets in files: there and back, as others write them, and damaged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.core.labelset import (
    BUILT_IN,
    Code,
    LabelClass,
    LabelSet,
    color_of,
    in_one_line,
)
from napari_medsam_lite.io.labelsets import read_label_set, write_label_set

SUFFIXES = (".json", ".csv", ".ctbl", ".label", ".txt")

texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
colors = st.tuples(*[st.integers(0, 255)] * 3)
plain_codes = st.builds(Code, st.just("SCT"), texts, texts)
codes = st.none() | plain_codes | st.builds(Code, st.just("SCT"), texts, texts, plain_codes)
classes = st.builds(LabelClass, st.integers(1, 65535), texts, colors, codes).map(in_one_line)
label_sets = st.builds(
    LabelSet, texts, st.lists(classes, max_size=5, unique_by=lambda c: c.number).map(tuple)
)
again = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def kept_by(suffix: str, each: LabelClass) -> LabelClass:
    """What of a class a format keeps."""
    if suffix == ".json":
        return each
    name = each.name
    if suffix == ".ctbl":
        name = " ".join(name.replace("_", " ").split()) or f"label {each.number}"
    return replace(each, name=name, code=None)


@pytest.mark.parametrize("suffix", SUFFIXES)
@again
@given(label_set=label_sets)
def test_what_is_written_is_read_again(tmp_path: Path, suffix: str, label_set: LabelSet):
    path = tmp_path / f"set{suffix}"
    write_label_set(path, label_set)
    found = read_label_set(path)
    assert found.classes == tuple(kept_by(suffix, each) for each in label_set.classes)
    assert found.name == (label_set.name if suffix == ".json" else "set")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_difficult_names_survive(tmp_path: Path, suffix: str):
    odd = ['the "liver"', "a, b", "Gefäß groß", "1 2 3", "# comment", "'", "\\n", "肝臓"]
    label_set = LabelSet(
        "odd", tuple(LabelClass(n, name, color_of(n)) for n, name in enumerate(odd, start=1))
    )
    write_label_set(tmp_path / f"odd{suffix}", label_set)
    assert list(read_label_set(tmp_path / f"odd{suffix}").names) == odd


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_117_are_found_by_name_in_every_form(tmp_path: Path, suffix: str):
    total = BUILT_IN["TotalSegmentator"]
    write_label_set(tmp_path / f"total{suffix}", total)
    found = read_label_set(tmp_path / f"total{suffix}")
    for each in total.classes:
        there = found.named(each.name)
        assert there is not None and (there.number, there.color) == (each.number, each.color)


AS_OTHERS_WRITE_THEM = {
    "labels.csv": "id,name\n1,spleen\n5,liver\n",
    "bom.csv": "\ufeffid,name\n1,spleen\n5,liver\n",
    "slicer.csv": "LabelValue,Name,Color_R,Color_G,Color_B\n0,Background,0,0,0\n1,spleen,1,2,3\n"
    "5,liver,4,5,6\n",
    "slicer.ctbl": "# Color table file x.ctbl\n# 3 values\n0 Background 0 0 0 0\n"
    "1 spleen 157 108 162 255\n5 liver 221 130 101 255\n",
    "slicer.txt": "# Color table file x.txt\n1 spleen 157 108 162 255\n5 liver 221 130 101 255\n",
    "snap.txt": "################\n# ITK-SnAP Label Description File\n"
    '    0     0    0    0        0  0  0    "Clear Label"\n'
    '    1   255    0    0        1  1  1    "spleen"\n'
    '    5     0  255    0     0.52  1  1    "liver"\n',
    "ours.json": '{"classes": [{"number": 1, "name": "spleen"}, {"number": 5, "name": "liver"}]}',
}


@pytest.mark.parametrize("name", AS_OTHERS_WRITE_THEM)
def test_files_of_others_are_read(tmp_path: Path, name: str):
    path = tmp_path / name
    path.write_text(AS_OTHERS_WRITE_THEM[name], encoding="utf-8")
    found = read_label_set(path)
    assert [(each.number, each.name) for each in found.classes] == [(1, "spleen"), (5, "liver")]
    assert found.name == path.stem


def test_a_class_without_a_colour_gets_that_of_its_number(tmp_path: Path):
    path = tmp_path / "labels.csv"
    path.write_text("id,name\n5,liver\n", encoding="utf-8")
    assert read_label_set(path).classes == (LabelClass(5, "liver", color_of(5)),)


def test_a_row_without_a_name_is_a_label_without_a_name(tmp_path: Path):
    path = tmp_path / "short.csv"
    path.write_text("id,name\n1\n2,", encoding="utf-8")
    assert read_label_set(path).names == ("label 1", "label 2")


DAMAGED = {
    "not text.json": b"\xff\xfe\x00",
    "cut.json": b'{"classes": [{"number": 1, "na',
    "deep.json": b"[" * 100_000,
    "list.json": b"[1, 2]",
    "nameless.json": b'{"classes": [{"number": 1}]}',
    "half.json": b'{"classes": [{"number": 1.5, "name": "a"}]}',
    "true.json": b'{"classes": [{"number": true, "name": "a"}]}',
    "color.json": b'{"classes": [{"number": 1, "name": "a", "color": [1, 2]}]}',
    "loud.json": b'{"classes": [{"number": 1, "name": "a", "color": [1, 2, 256]}]}',
    "code.json": b'{"classes": [{"number": 1, "name": "a", "code": {"scheme": "SCT"}}]}',
    "code type.json": b'{"classes": [{"number": 1, "name": "a", "code": "SCT"}]}',
    "set name.json": b'{"name": 3, "classes": []}',
    "twice.csv": b"id,name\n1,a\n1,b\n",
    "headless.csv": b"1,a\n2,b\n",
    "letters.csv": b"id,name\nx,a\n",
    "large.csv": b"id,name\n65536,a\n",
    "negative.csv": b"id,name\n-1,a\n",
    "huge.csv": b"id,name\n" + b"9" * 5000 + b",a\n",
    "words.ctbl": b"# Color table file\n1 spleen red green blue 255\n",
    "short.ctbl": b"1 spleen\n",
    "quotes.label": b"1 0 0 0 1 1 1 spleen\n",
    "empty.label": b"",
    "prose.txt": b"hello\n",
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_told_in_one_sentence(tmp_path: Path, name: str):
    path = tmp_path / name
    path.write_bytes(DAMAGED[name])
    with pytest.raises(FileFormatError) as told:
        read_label_set(path)
    text = str(told.value)
    assert str(path) in text and "\n" not in text and text.endswith(".")
    assert len(text) < len(str(path)) + 200


def test_missing_large_and_unknown_files_are_told(tmp_path: Path):
    with pytest.raises(FileFormatError, match="does not exist"):
        read_label_set(tmp_path / "a.json")
    with pytest.raises(FileFormatError, match="label sets have names"):
        read_label_set(tmp_path / "a.xml")
    with pytest.raises(FileFormatError, match="label sets have names"):
        write_label_set(tmp_path / "a.xml", BUILT_IN["free"])
    (tmp_path / "big.csv").write_bytes(b"id,name\n" + b" " * (9 << 20))
    with pytest.raises(FileFormatError, match="over 8 MiB"):
        read_label_set(tmp_path / "big.csv")


def test_the_json_form_is_the_documented_one(tmp_path: Path):
    liver = BUILT_IN["abdomen"].named("liver")
    write_label_set(tmp_path / "a.json", LabelSet("mine", (liver,)))
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {
        "name": "mine",
        "classes": [
            {
                "number": 1,
                "name": "liver",
                "color": [230, 159, 0],
                "code": {"scheme": "SCT", "value": "10200004", "meaning": "Liver"},
            }
        ],
    }
