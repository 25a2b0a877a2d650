import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_medsam_lite.acceleration.openvino.sealed import MANIFEST, intact, is_intact, seal

CONTENT = {"encoder.xml": b"<net/>", "encoder.bin": bytes(range(200)), "empty.bin": b""}


@pytest.fixture
def folder(tmp_path):
    for name, content in CONTENT.items():
        (tmp_path / name).write_bytes(content)
    seal(tmp_path)
    return tmp_path


def test_a_sealed_folder_is_intact(folder):
    assert is_intact(folder)
    assert intact(folder).keys() == CONTENT.keys()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(name=st.sampled_from(["encoder.xml", "encoder.bin"]), data=st.data())
def test_any_flipped_bit_is_seen(folder, name, data):
    whole = CONTENT[name]
    place = data.draw(st.integers(0, len(whole) * 8 - 1))
    flipped = bytearray(whole)
    flipped[place // 8] ^= 1 << place % 8
    (folder / name).write_bytes(flipped)
    assert not is_intact(folder)
    assert intact(folder).keys() == CONTENT.keys() - {name}
    (folder / name).write_bytes(whole)
    assert is_intact(folder)


@pytest.mark.parametrize("name", [*CONTENT, MANIFEST])
def test_a_missing_file_is_seen(folder, name):
    (folder / name).unlink()
    assert not is_intact(folder)


@pytest.mark.parametrize("text", ["", "{}", "[]", "7", '{"encoder.xml": 1}', '{"\\u0000": "1"}'])
def test_a_damaged_manifest_seals_nothing(folder, text):
    (folder / MANIFEST).write_text(text)
    assert not is_intact(folder)
    assert intact(folder) == {}


def test_what_is_known_is_not_read_again(folder):
    seal(folder, {"encoder.bin": "as it was"})
    sealed = json.loads((folder / MANIFEST).read_text())
    assert sealed["encoder.bin"] == "as it was"
    assert len(sealed["encoder.xml"]) == 64
