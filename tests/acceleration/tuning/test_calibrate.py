import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from napari_medsam_lite.acceleration import choose
from napari_medsam_lite.acceleration.choose import best_preset
from napari_medsam_lite.acceleration.tuning import calibrate as tuning
from napari_medsam_lite.acceleration.tuning.remembered import (
    Measurement,
    memory_file,
    remember,
    remembered,
)
from napari_medsam_lite.core.errors import MedSAMLiteError


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda *_, **__: str(tmp_path))


def good(preset: str, encode: float, agreement: float = 1.0) -> Measurement:
    return Measurement(preset, None, "CPU", encode, 0.01, 1.0, 10, agreement)


def test_before_calibration_there_is_a_sensible_start(checkpoint):
    assert best_preset(checkpoint, "cpu") == "openvino"


def test_the_fastest_that_agrees_wins(checkpoint):
    found = [good("eager", 1.0), good("sdpa", 0.5), good("bf16", 0.1, agreement=0.969)]
    remember([*found, Measurement("nested", "broken")], checkpoint, "cpu")
    assert best_preset(checkpoint, "cpu") == "sdpa"
    assert remembered(checkpoint, "cpu")["nested"].reason == "broken"


def test_what_auto_must_not_choose_is_not_chosen(checkpoint):
    remember([good("openvino", 0.2), good("openvino-int8", 0.1)], checkpoint, "cpu")
    assert best_preset(checkpoint, "cpu") == "openvino"


def test_boxes_count_too(checkpoint):
    found = [good("eager", 0.50), replace(good("sdpa", 0.45), decode=0.1)]
    remember(found, checkpoint, "cpu")
    assert best_preset(checkpoint, "cpu") == "eager"


def test_another_checkpoint_or_device_is_another_answer(checkpoint):
    remember([good("sdpa", 0.1)], checkpoint, "cpu")
    assert best_preset(replace(checkpoint, sha256="0" * 64), "cpu") == "openvino"
    assert remembered(checkpoint, "auto") == {}


def test_a_preset_that_is_gone_is_not_chosen(checkpoint, monkeypatch):
    remember([good("sdpa", 0.5), good("compile", 0.1)], checkpoint, "cpu")
    monkeypatch.setattr(choose, "unavailable", lambda name, _: "no" if name == "compile" else None)
    assert best_preset(checkpoint, "cpu") == "sdpa"


@pytest.mark.parametrize("text", ["", "{", "[1]", '[{"preset": "sdpa", "colour": 1}]'])
def test_a_damaged_memory_is_no_memory(checkpoint, text):
    file = memory_file(checkpoint, "cpu")
    file.parent.mkdir(parents=True)
    file.write_text(text)
    assert remembered(checkpoint, "cpu") == {}


def measuring(monkeypatch, body: str) -> None:
    """Put a small program in place of the measuring process."""
    code = "import json, sys; job = json.load(open(sys.argv[1]));" + body
    popen = tuning.subprocess.Popen

    def start(command, **options):
        return popen([sys.executable, "-c", code, command[-1]], **options)

    monkeypatch.setattr(tuning.subprocess, "Popen", start)


def test_calibration_measures_refuses_and_remembers(checkpoint, monkeypatch):
    answer = {"encode": 1.0, "decode": 0.1, "load": 0.5, "memory": 7, "device": "CPU"}
    measuring(
        monkeypatch,
        "import numpy; numpy.save(job['answer'], numpy.ones((8, 4, 4), bool));"
        f"print(json.dumps(dict(progress='running'))); print(json.dumps({answer!r}))",
    )
    items = list(tuning.calibrate(checkpoint, "cpu", presets=["sdpa", "cuda-max"]))
    found = [item for item in items if isinstance(item, Measurement)]
    assert [row.preset for row in found] == ["eager", "sdpa", "cuda-max"]
    assert found[1] == Measurement("sdpa", None, "CPU", 1.0, 0.1, 0.5, 7, 1.0)
    assert "not on cpu" in found[2].reason
    said = [item for item in items if isinstance(item, str)]
    assert "measuring eager: running" in said
    assert "measuring sdpa: running" in said
    assert remembered(checkpoint, "cpu")["sdpa"] == found[1]


def test_a_crash_falls_out_with_its_reason(checkpoint, monkeypatch):
    measuring(monkeypatch, "sys.exit('Illegal instruction')")
    with pytest.raises(MedSAMLiteError, match=r"eager cannot be measured.*Illegal instruction"):
        list(tuning.calibrate(checkpoint, "cpu", presets=["sdpa"]))


def test_stopping_ends_the_process_and_leaves_what_is_done(checkpoint, monkeypatch):
    answer = {"encode": 1.0, "decode": 0.1, "load": 0.5, "memory": 7, "device": "CPU"}
    measuring(
        monkeypatch,
        "import numpy, time; numpy.save(job['answer'], numpy.ones((8, 4, 4), bool));"
        f"job['preset'] == 'eager' or time.sleep(600); print({json.dumps(answer)!r})",
    )
    started = []
    popen = tuning.subprocess.Popen

    def noted(*args, **options):
        started.append(popen(*args, **options))
        return started[-1]

    monkeypatch.setattr(tuning.subprocess, "Popen", noted)
    items = tuning.calibrate(checkpoint, "cpu")
    for item in items:
        if item == "measuring sdpa" and len(started) == 2:
            break
    items.close()
    assert started[1].poll() is not None
    assert list(remembered(checkpoint, "cpu")) == ["eager"]


def test_synthetic_case_fits_together():
    case = tuning.synthetic_case()
    assert len(case.owners) == len(case.boxes) == 8
    assert case.owners.max() < len(case.frames)
    assert case.frames.dtype == np.float32
