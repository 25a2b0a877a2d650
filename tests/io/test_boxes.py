import json

import pytest

from napari_medsam_lite.core.boxes import Box3D, WorldBox
from napari_medsam_lite.core.errors import FileFormatError, PromptError
from napari_medsam_lite.io.boxes import parse_named_box, read_named_boxes

BOX = Box3D(z0=3, y0=2, x0=1, z1=6, y1=5, x1=4)


def test_a_box_from_text():
    assert parse_named_box("1,2,3,4,5,6") == ("", BOX)
    assert parse_named_box("left kidney@ 1, 2 ,3.0,4,5,6") == ("left kidney", BOX)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1,2,3", "six whole numbers"),
        ("", "six whole numbers"),
        ("1,2,3,4,5,six", "' ?six' is not a whole number"),
        ("1,2,3,4,5,6.5", "'6.5' is not a whole number"),
        ("1,2,3,4,5,inf", "'inf' is not a whole number"),
        ("4,2,3,1,5,6", "ends before it starts"),
    ],
)
def test_bad_box_text_gets_one_sentence(text, sentence):
    with pytest.raises(PromptError, match=sentence):
        parse_named_box(text)


def test_boxes_from_csv(tmp_path):
    path = tmp_path / "boxes.csv"
    path.write_text(
        "\ufeffname, x0, y0, z0, x1, y1, z1\nliver, 1, 2, 3, 4, 5, 6\n,0,0,0,1,1,1\n", "utf-8"
    )
    assert read_named_boxes(path) == [("liver", BOX), ("", Box3D(0, 0, 0, 1, 1, 1))]


@pytest.mark.parametrize("wrap", [lambda rows: rows, lambda rows: {"boxes": rows}])
def test_boxes_from_json(tmp_path, wrap):
    path = tmp_path / "boxes.json"
    rows = [
        {"x0": 1, "y0": 2, "z0": 3, "x1": 4, "y1": 5, "z1": 6, "name": "liver"},
        [0, 0, 0, 1, 1, 1],
    ]
    path.write_text(json.dumps(wrap(rows)))
    assert read_named_boxes(path) == [("liver", BOX), ("", Box3D(0, 0, 0, 1, 1, 1))]


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("b.json", "{", "cannot be read as a file of boxes"),
        ("b.json", '{"a": 1}', "no list of boxes"),
        ("b.json", "[]", "holds no boxes"),
        ("b.json", "[[1,2,3]]", "box 1 is wrong: six whole numbers"),
        ("b.json", "[3]", "box 1 is wrong"),
        ("b.json", '[{"x0": 1}]', "box 1 has no y0, z0, x1, y1, z1"),
        ("b.csv", "x0,y0,z0,x1,y1,z1\n", "holds no boxes"),
        ("b.csv", "x0,y0,z0,x1,y1\n1,2,3,4,5\n", "box 1 has no z1"),
        ("b.csv", "x0,y0,z0,x1,y1,z1\n1,2,3,4,5,6\n1,2,3,4,5,a\n", "box 2 is wrong: 'a'"),
        ("b.csv", "\x00", "b.csv"),
        ("b.txt", "1,2", r"\.json and \.csv"),
    ],
)
def test_bad_box_files_get_one_sentence(tmp_path, name, text, sentence):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(FileFormatError, match=sentence) as caught:
        read_named_boxes(path)
    assert "\n" not in str(caught.value)


def test_a_field_too_long_for_csv_gets_one_sentence(tmp_path):
    path = tmp_path / "b.csv"
    path.write_text("name,x0,y0,z0,x1,y1,z1\n" + "a" * 140_000 + ",1,1,1,2,2,2\n")
    with pytest.raises(FileFormatError, match="field larger than field limit"):
        read_named_boxes(path)


def test_boxes_in_world_millimetres(tmp_path):
    path = tmp_path / "boxes.csv"
    path.write_text("name,x0_mm,y0_mm,z0_mm,x1_mm,y1_mm,z1_mm\nliver,-10,5.5,0,20,30,12\n")
    assert read_named_boxes(path) == [("liver", WorldBox(-10, 5.5, 0, 20, 30, 12))]
    path.write_text("x0_mm,y0_mm,z0_mm,x1_mm,y1_mm\n0,0,0,1,1\n")
    with pytest.raises(FileFormatError, match="box 1 has no z1_mm"):
        read_named_boxes(path)
    path.write_text("x0_mm,y0_mm,z0_mm,x1_mm,y1_mm,z1_mm\n0,0,zero,1,1,nan\n")
    with pytest.raises(FileFormatError, match="millimetres are numbers"):
        read_named_boxes(path)
