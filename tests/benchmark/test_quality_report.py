import numpy as np
import pytest
from PIL import Image

from napari_medsam_lite.benchmark.drawing import Drawing
from napari_medsam_lite.benchmark.quality_report import as_json, save_quality, to_markdown
from napari_medsam_lite.benchmark.scores import ObjectScore, QualityReport, WayScore

BLUE = (43, 108, 176)


def case(name, objects):
    spacing = [2.0, 0.977, 0.977]
    return {
        "name": name,
        "shape": [20, 512, 512],
        "spacing": spacing,
        "objects": objects,
        "left_out": 1,
    }


def report():
    liver, node = ObjectScore("liver", 0.9, 0.8, 0.7, 0.6), ObjectScore("node", 0.3, 0.2, 0.1, 0.0)
    single = ObjectScore("liver, slice 4", 0.95)
    return QualityReport(
        "sdpa",
        "AMD EPYC",
        "abdomen",
        Drawing(loose=12, seed=3),
        cases=[case("abdomen", 2), case("chest", 1)],
        scores=[
            WayScore("abdomen", "published", 10.0, 20, 40, (liver, node)),
            WayScore("abdomen", "single-slices", 1.0, 1, 1, (single,)),
            WayScore("chest", "published", 5.0, 10, 10, (liver,)),
        ],
    )


def test_means_are_over_the_objects_of_all_cases():
    text = to_markdown(report())
    assert "| published | one 3D box | 0.700 | 0.600 | 0.500 | 0.400 | 15.0 | 30 | 50 |" in text
    assert "| single-slices | single slices, a box each | 0.950 |  |  |  | 1.0 | 1 | 1 |" in text
    assert as_json(report())["means"]["published"]["nsd"] == pytest.approx(0.6)


def test_each_case_has_its_objects():
    _, abdomen, chest = to_markdown(report()).split("\n## ")[1:]
    assert "| node | 0.300 / 0.200 |" in abdomen
    assert "| liver, slice 4 | 0.950 |" in abdomen
    assert "node" not in chest


def test_how_it_was_measured_is_told():
    text = to_markdown(report())
    assert "0 to 12 voxels out by chance, seed 3" in text
    assert (
        "- chest: 20 x 512 x 512 voxels of 2.00 x 0.98 x 0.98 mm (z, y, x), objects: 1 measured"
        in text
    )


def test_the_picture_has_a_dot_for_each_way_but_single_slices(tmp_path):
    def blue(some):
        save_quality(some, tmp_path)
        with Image.open(tmp_path / "bench-quality.png") as picture:
            return (np.asarray(picture) == BLUE).all(axis=2)

    one = blue(report())
    rows, columns = np.nonzero(one)
    two = report()
    two.scores.append(WayScore("chest", "guided", 1.5, 10, 10, (ObjectScore("x", 0.9, 0.9),)))
    both = blue(two)
    assert both.sum() == pytest.approx(2 * one.sum(), rel=0.1)
    faster = np.nonzero(both)[1] < np.nonzero(both)[1].mean()
    higher = np.nonzero(both)[0] < np.nonzero(both)[0].mean()
    assert (faster == higher).all()
    assert np.ptp(rows) < 30
    assert np.ptp(columns) < 30


def test_an_empty_report(tmp_path):
    save_quality(QualityReport("sdpa", "CPU", "auto", Drawing()), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "bench.json",
        "bench.md",
        "bench-quality.png",
    }
