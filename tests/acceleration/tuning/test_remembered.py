import json
import logging
from dataclasses import asdict, replace

import pytest

from napari_medsam_lite.acceleration.tuning.measurement import Measurement
from napari_medsam_lite.acceleration.tuning.remembered import memory_file, remember, remembered

pytestmark = pytest.mark.usefixtures("own_cache")

FOUND = Measurement("sdpa", None, "CPU", 0.1, 0.01, 1.0, 10, 1.0)


def test_answers_are_added_to_those_that_are_there(checkpoint):
    remember([FOUND, Measurement("nested", "broken")], checkpoint, "cpu")
    remember([replace(FOUND, encode=0.2)], checkpoint, "cpu")
    assert remembered(checkpoint, "cpu") == {
        "sdpa": replace(FOUND, encode=0.2),
        "nested": Measurement("nested", "broken"),
    }


def test_another_checkpoint_or_device_is_another_answer(checkpoint):
    remember([FOUND], checkpoint, "cpu")
    assert remembered(replace(checkpoint, sha256="0" * 64), "cpu") == {}
    assert remembered(checkpoint, "auto") == {}


ROW = asdict(FOUND)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "7",
        "[1]",
        '["sdpa"]',
        json.dumps([{"preset": "sdpa", "colour": 1}]),
        json.dumps([ROW | {"preset": "warp"}]),
        json.dumps([ROW | {"encode": "fast"}]),
        json.dumps([ROW | {"agreement": None}]),
        json.dumps([ROW | {"decode": float("nan")}]),
        "\udcff",
    ],
)
def test_a_damaged_memory_is_no_memory(checkpoint, text):
    file = memory_file(checkpoint, "cpu")
    file.parent.mkdir(parents=True)
    file.write_bytes(text.encode(errors="surrogateescape"))
    assert remembered(checkpoint, "cpu") == {}
    remember([FOUND], checkpoint, "cpu")
    assert remembered(checkpoint, "cpu") == {"sdpa": FOUND}


def test_what_cannot_be_written_is_told_to_the_log(checkpoint, own_cache, caplog):
    own_cache.write_text("in the way")
    with caplog.at_level(logging.WARNING):
        remember([FOUND], checkpoint, "cpu")
    assert "is not remembered" in caplog.text
    assert remembered(checkpoint, "cpu") == {}


def test_a_full_disk_keeps_the_old_answer(checkpoint, full_disk):
    remember([FOUND], checkpoint, "cpu")
    with full_disk(at=10):
        remember([replace(FOUND, encode=0.2)], checkpoint, "cpu")
    assert remembered(checkpoint, "cpu") == {"sdpa": FOUND}
    assert list(memory_file(checkpoint, "cpu").parent.iterdir()) == [memory_file(checkpoint, "cpu")]
