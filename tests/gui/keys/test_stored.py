import pytest

from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.gui.keys.stored import keys_file, read_keys, write_keys


def test_what_is_written_is_read(tmp_path):
    file = tmp_path / "not" / "there" / "keys.json"
    assert read_keys(file) == {}
    write_keys(file, {"new_segment": "Shift+N", "live": ""})
    assert read_keys(file) == {"new_segment": "Shift+N", "live": ""}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"live": 3}', "\x00", '"N"'])
def test_a_damaged_file_is_told(tmp_path, text):
    file = tmp_path / "keys.json"
    file.write_text(text)
    with pytest.raises(FileFormatError, match=r"cannot be read, so all keys are as at first\.$"):
        read_keys(file)


def test_the_file_is_the_user_s_own(monkeypatch, tmp_path):
    monkeypatch.setattr("platformdirs.user_config_dir", lambda *_, **__: str(tmp_path))
    assert keys_file() == tmp_path / "keys.json"
