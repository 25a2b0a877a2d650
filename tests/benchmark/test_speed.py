import time

import numpy as np
import psutil
import pytest

from napari_medsam_lite.benchmark import speed
from napari_medsam_lite.benchmark.speed import (
    PUBLISHED,
    BatchTime,
    compare,
    sample_files,
    time_batches,
)
from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.core.settings import Settings
from napari_medsam_lite.io.formats import read_case


def test_sample_files_are_cases_with_truth(tmp_path):
    files = sample_files(tmp_path, count=3, slices=2)
    assert len(files) == 3
    case = read_case(files[1])
    assert case.volume.shape == (2, 256, 256)
    assert case.volume.data.dtype == np.uint8
    assert case.volume.spacing == pytest.approx((3, 1.5, 1.5))
    assert case.gts.max() > 0


@pytest.mark.parametrize(
    ("device", "told"),
    [("auto", []), ("cpu", []), ("npu", []), ("cuda:1", ["--device", "cuda:1"])],
)
def test_the_published_way_goes_to_the_same_gpu(tmp_path, monkeypatch, device, told):
    started = []

    def refuse(command, **_):
        started.append(command)
        raise MedSAMLiteError("not today")

    monkeypatch.setattr(speed.subprocess, "Popen", refuse)
    with pytest.raises(MedSAMLiteError, match="not today"):
        list(time_batches([tmp_path / "a.npz"], [PUBLISHED], 1, 1, Settings(device=device)))
    (command,) = started
    assert command[command.index("-o") + 2 :] == told


def test_two_ways_over_one_file(tmp_path):
    files = sample_files(tmp_path, count=1, slices=1)
    rows = [
        item
        for item in time_batches(files, [PUBLISHED, "sdpa"], 1, 1, Settings(device="cpu"))
        if isinstance(item, BatchTime)
    ]
    assert [row.name for row in rows] == [PUBLISHED, "sdpa"]
    assert all(row.mean_seconds > 0 and row.peak_mib > 100 for row in rows)
    assert rows[0].agreement == 1
    assert rows[1].agreement > 0.998
    assert rows[1].dice > 0.8


def test_stopping_ends_the_process(tmp_path):
    files = sample_files(tmp_path, count=1, slices=1)
    before = psutil.Process().children(recursive=True)
    steps = time_batches(files, ["sdpa"], workers=1, runs=1)
    next(steps)
    started = [p for p in psutil.Process().children(recursive=True) if p not in before]
    assert started
    steps.close()
    time.sleep(0.2)
    assert not [p for p in started if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def test_a_failure_says_why(tmp_path):
    path = tmp_path / "bad.npz"
    path.write_bytes(b"no zip")
    with pytest.raises(MedSAMLiteError, match=r"sdpa failed: .*bad\.npz"):
        list(time_batches([path], ["sdpa"], workers=1, runs=1))


def test_compare(tmp_path):
    for name, value in (("a", 1), ("b", 0)):
        (tmp_path / name).mkdir()
        labels = np.array([[[1, value]]], np.uint8)
        np.savez(tmp_path / name / "case.npz", segs=labels)
    case = tmp_path / "case.npz"
    assert compare([case], tmp_path / "a", tmp_path / "a") == 1
    assert compare([case], tmp_path / "b", tmp_path / "a") == pytest.approx(2 / 3)
