"""The whole benchmark on one slice, as the command line and napari run it."""

import json
import time

import pytest

from napari_medsam_lite.acceleration.presets import PRESETS
from napari_medsam_lite.benchmark import run
from napari_medsam_lite.benchmark.run import Plan, measure
from napari_medsam_lite.benchmark.speed import _command, sample_files
from napari_medsam_lite.cli import main
from napari_medsam_lite.core.settings import AUTO


def test_cancel_stops_the_attention_within_a_second(tmp_path):
    files = tuple(sample_files(tmp_path, count=1, slices=1))
    steps = measure(Plan(files, ("sdpa",), attention_runs=10**9))
    for item in steps:
        if "of 1000000000 runs" in item and not item.endswith(": none, 0 of 1000000000 runs"):
            break
    start = time.monotonic()
    next(steps)
    steps.close()
    assert time.monotonic() - start < 2


def words(plan, tmp_path):
    return _command("sdpa", [tmp_path / "a.npz"], tmp_path, 2, plan.settings)


def option(words, name):
    return words[words.index(name) + 1]


def test_presets_are_timed_as_the_command_line_segments(tmp_path):
    command = words(Plan(device="cpu"), tmp_path)
    assert option(command, "--propagation") == "guided"
    assert option(command, "--overlap") == "surer"
    assert option(command, "--device") == "cpu"
    assert option(command, "--preset") == "sdpa"


def test_beside_the_published_way_presets_work_as_published(tmp_path):
    command = words(Plan(baseline=True), tmp_path)
    assert option(command, "--propagation") == "published"
    assert option(command, "--overlap") == "overwrite"


def test_what_is_emulated_is_measured_by_name_alone(monkeypatch):
    monkeypatch.setattr(run, "emulated", lambda name, _: "slow" if name == "bf16" else None)
    every, named = Plan(device="cpu"), Plan(presets=("bf16",), device="cpu")
    assert every.named == (*PRESETS, AUTO)
    assert every.reason_against("bf16") == "slow"
    assert every.reason_against("sdpa") is None
    assert "not on cpu" in every.reason_against("cuda-max")
    assert every.reason_against(AUTO) is None
    assert named.reason_against("bf16") is None


@pytest.mark.slow
def test_bench_on_one_slice(tmp_path, own_cache, monkeypatch, capsys):
    (tmp_path / "cases").mkdir()
    sample_files(tmp_path / "cases", count=1, slices=1)
    case = run.phantom_case
    monkeypatch.setattr(run, "phantom_case", lambda: case(slices=1))
    options = ["--presets", "sdpa,cuda-max", "--runs", "1", "--workers", "1", "--device", "cpu"]
    where = ["--input", str(tmp_path / "cases"), "-o", str(tmp_path / "out")]
    assert main(["bench", *where, *options, "--attention-runs", "2", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "out" / "bench.json").read_text())
    assert [row["name"] for row in printed["batch"]] == ["sdpa"]
    assert printed["batch"][0]["dice"] > 0.8
    assert list(printed["attention"]) == ["none", "nested", "sdpa", "sdpa + nested"]
    assert [row["preset"] for row in printed["presets"]] == ["eager", "sdpa"]
    assert printed["presets"][1]["agreement"] > 0.999
    assert "cuda-max" in printed["skipped"]
