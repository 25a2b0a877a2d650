"""The whole comparison on a small piece of the phantom, as the command line runs it."""

import json

import numpy as np
import pytest
from PIL import Image

from napari_medsam_lite.benchmark import quality
from napari_medsam_lite.benchmark.quality import QualityPlan, measure_quality
from napari_medsam_lite.benchmark.scores import ObjectScore, QualityReport
from napari_medsam_lite.benchmark.truth import TruthFiles
from napari_medsam_lite.benchmark.ways import find_ways
from napari_medsam_lite.cli import main
from napari_medsam_lite.core.errors import FileFormatError
from napari_medsam_lite.engine.propagation.slice_mask import SliceMask
from napari_medsam_lite.sample.ct import ct_phantom

KIDNEY, AORTA = 3, 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two slices with a kidney and the aorta, and a file without truth beside."""
    folder = tmp_path_factory.mktemp("cases")
    sample, part = ct_phantom(), slice(28, 30)
    truth = np.where(np.isin(sample.truth, (KIDNEY, AORTA)), sample.truth, 0)[part]
    images = np.clip((sample.volume.data[part] + 160) * (255 / 400), 0, 255).astype(np.uint8)
    spacing = sample.volume.spacing[::-1]
    np.savez(folder / "CT_small.npz", imgs=images, gts=truth, spacing=spacing)
    np.savez(folder / "no_truth.npz", imgs=images)
    return folder


def test_the_command_compares_the_ways(folder, tmp_path, capsys):
    options = ["--presets", "sdpa", "--device", "cpu", "--json"]
    ways = ["--ways", "guided,single-whole"]
    where = ["--input", str(folder), "-o", str(tmp_path / "out")]
    assert main(["bench", "--quality", *where, *options, *ways]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "out" / "bench.json").read_text())
    (case,) = printed["cases"]
    assert (case["name"], case["objects"], case["left_out"]) == ("CT_small", 2, 0)
    guided, single = printed["scores"]
    assert (guided["way"], single["way"]) == ("guided", "single-whole")
    assert [one["name"] for one in guided["objects"]] == ["3", "5"]
    assert all(one["dice"] > 0.8 and one["nsd"] > 0.8 for one in guided["objects"])
    assert all(abs(one["map_dice"] - one["dice"]) < 0.1 for one in guided["objects"])
    # What one way encoded is encoded again for the next.
    # Two objects on two slices: a close look each, which is asked with three boxes.
    assert [row["slices_encoded"] for row in (guided, single)] == [4, 2]
    assert [row["boxes_decoded"] for row in (guided, single)] == [12, 4]
    assert guided["seconds"] > 0
    assert len(single["objects"]) == 4
    assert single["objects"][0]["nsd"] is None
    mean = np.mean([one["dice"] for one in guided["objects"]])
    assert printed["means"]["guided"]["dice"] == pytest.approx(mean)
    table = (tmp_path / "out" / "bench.md").read_text()
    assert f"| guided | one 3D box | {mean:.3f} |" in table
    assert "| 5, slice 1 |" in table
    with Image.open(tmp_path / "out" / "bench-quality.png") as picture:
        blue = (np.asarray(picture) == (43, 108, 176)).all(axis=2)
    assert blue.sum() > 300


def test_the_last_mask_of_a_slice_counts(folder, monkeypatch):
    """Masks that are guessed first come again when they are refined; here they are the truth."""
    with np.load(folder / "CT_small.npz") as arrays:
        truth = arrays["gts"]

    def segment(segmenter, prepared, objects, settings, timings):
        for refined in (False, True):
            for number, label in enumerate((KIDNEY, AORTA)):
                for index, plane in enumerate(truth == label):
                    logits = np.where(plane & refined, 1, -1).astype(np.float32)
                    yield SliceMask(number, index, 0.9, (0, 0), logits, plane.shape)

    monkeypatch.setattr(quality.Segmenter, "segment", segment)
    monkeypatch.setattr(quality, "_warm_up", lambda bench: None)
    case = TruthFiles(folder / "CT_small.npz")
    plan = QualityPlan((case,), find_ways("guided"), preset="sdpa", device="cpu")
    report = [item for item in measure_quality(plan) if isinstance(item, QualityReport)][-1]
    assert report.scores[0].objects == (
        ObjectScore("3", 1, 1, 1, 1),
        ObjectScore("5", 1, 1, 1, 1),
    )


def test_nothing_to_measure(folder):
    plan = QualityPlan((TruthFiles(folder / "no_truth.npz"),), preset="sdpa", device="cpu")
    with pytest.raises(FileFormatError, match="None of the cases has a truth"):
        list(measure_quality(plan))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--quality"], "--quality needs --input FOLDER or --pairs IMAGE LABELS."),
        (["--pairs", "a", "b"], "--pairs is for --quality."),
        (["--quality", "--input", "a", "--presets", "sdpa,eager"], "measures with one preset"),
        (["--quality", "--ways", "best"], "There is no way 'best'; choose from published"),
        (["--quality", "--loose", "2", "x"], "'x' is no number of voxels, and a seed, 0 or more."),
    ],
)
def test_wrong_use_is_told(options, sentence, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["bench", *options])
    assert stop.value.code == 2
    assert sentence in capsys.readouterr().err
