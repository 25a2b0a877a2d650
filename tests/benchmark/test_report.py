import json

import numpy as np
import pytest
from PIL import Image

from napari_medsam_lite.benchmark.report import BenchReport, save_report, to_markdown
from napari_medsam_lite.benchmark.speed import BatchTime


def report():
    return BenchReport(
        files=10,
        workers=4,
        runs=2,
        batch=[
            BatchTime("eager", [20.0, 22.0], 900, 1.0, 0.9),
            BatchTime("openvino", [3.0, 4.0], 700, 0.99, None),
        ],
        skipped={"sparse-2-4": "It needs an NVIDIA GPU."},
        attention={"none": 4.0, "sdpa": 2.0},
        attention_runs=1000,
        presets=[{"preset": "eager", "encode": 0.5, "memory": "9 MiB"}],
    )


def test_markdown_has_ours_and_theirs():
    text = to_markdown(report())
    assert "| openvino | 3.50 | 6.0 x | 700 | 0.990 |  |" in text
    assert "81.18" in text
    assert "| none | 4.00 | 2.31 |" in text
    assert "It needs an NVIDIA GPU." in text
    assert "| eager | 0.5000 | 9 MiB |" in text


def test_three_files(tmp_path):
    save_report(report(), tmp_path / "bench")
    content = json.loads((tmp_path / "bench" / "bench.json").read_text())
    assert content["batch"][1]["mean_seconds"] == 3.5
    assert content["machine"]["cores"]
    assert (tmp_path / "bench" / "bench.md").read_text() == to_markdown(report())
    with Image.open(tmp_path / "bench" / "bench.png") as picture:
        pixels = np.asarray(picture)
    blue = (pixels == (43, 108, 176)).all(axis=2).sum(axis=1)
    lengths = blue[blue > 0]
    assert lengths.max() / lengths.min() == pytest.approx(21 / 3.5, rel=0.02)


def test_an_empty_report(tmp_path):
    save_report(BenchReport(1, 1, 1), tmp_path)
    assert (tmp_path / "bench.png").exists()
