import csv
import tokenize

import pytest

from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.io.guard import check_size, reading


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (EOFError(), "is cut short"),
        (ValueError("bad magic\nmore"), r"cannot be read as a cake: bad magic\.$"),
        (PermissionError(), "permission is denied"),
        (MemoryError(), "more memory"),
        (KeyError("x"), "cannot be read as a cake"),
        (tokenize.TokenError("EOF in multi-line statement", (2, 0)), "cannot be read as a cake"),
        (csv.Error("field larger than field limit"), "field larger"),
        (OSError(5, "Input/output error", "a.cake"), r"a cake: Input/output error\.$"),
    ],
)
def test_damage_becomes_one_sentence(tmp_path, error, sentence):
    path = tmp_path / "a.cake"
    path.write_bytes(b"x")
    with pytest.raises(FileFormatError, match=sentence), reading(path, "a cake"):
        raise error


def test_missing_empty_and_folder(tmp_path):
    (tmp_path / "empty").touch()
    for name, sentence in (("no", "does not exist"), ("empty", "0 bytes"), (".", "is a folder")):
        with pytest.raises(FileFormatError, match=sentence), reading(tmp_path / name, "a cake"):
            pass


def test_a_header_cannot_claim_more_than_there_is():
    check_size("a", 100, 100, packed=False)
    check_size("a", 100_000, 100, packed=True)
    for claimed, packed in ((101, False), (1 << 40, True), (-1, True)):
        with pytest.raises(FileFormatError, match=f"speaks of {claimed} bytes"):
            check_size("a", claimed, 100, packed=packed)
