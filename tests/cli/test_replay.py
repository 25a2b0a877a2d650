"""What was done in napari is done again on the command line, with the real network."""

import json
import shutil
import time
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Layer

from napari_medsam_lite.cli import main
from napari_medsam_lite.core.boxes import Box2D
from napari_medsam_lite.gui.session.controller import SessionController
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.gui.viewer.drawn_boxes import rectangle
from napari_medsam_lite.gui.viewer.geometry import Plane
from napari_medsam_lite.io.casefile import load_case, save_case
from napari_medsam_lite.io.formats import read_labels, read_volume, write_labels
from napari_medsam_lite.io.hooks import read_layers

AFFINE = np.array([[-0.8, 0, 0, 90], [0, 0.8, 0, -120], [0, 0, 5, 7], [0, 0, 0, 1.0]])


def write_ball(path):
    z, y, x = np.ogrid[:6, :180, :200]
    inside = ((z - 3) / 4) ** 2 + ((y - 50) / 20) ** 2 + ((x - 65) / 25) ** 2 < 1
    hu = np.where(inside, 60, -90) + np.random.default_rng(0).normal(0, 8, inside.shape)
    nib.save(nib.Nifti1Image(hu.astype(np.int16).transpose(2, 1, 0), AFFINE), path)
    return path


@pytest.fixture(scope="module")
def worked(qapp, tmp_path_factory):
    """A ball outlined live and through the volume, a second segment, a stroke; saved."""
    tmp_path = tmp_path_factory.mktemp("worked")
    viewer = ViewerModel()
    for layer in read_layers(str(write_ball(tmp_path / "ct.nii.gz"))):
        viewer.add_layer(Layer.create(*layer))
    state = SessionState(preset="sdpa", device="cpu", read_ahead=False)
    session = SessionController(viewer, state)
    session.open()

    def settle():
        end = time.monotonic() + 300
        while state.busy or session.runs.live.waits:
            assert time.monotonic() < end, state.message
            qapp.processEvents()

    try:
        viewer.dims.set_current_step(0, 3)
        boxes = session.layers.boxes_made(state.image)
        boxes.add_rectangles(rectangle(Box2D(28, 38, 72, 92), Plane(0, 3)))
        settle()
        session.segments.rename(1, "ball")
        session.segments.limit(1, 0, 3, 4)
        session.run_actions.segment_volume()
        settle()
        session.segments.begin()
        boxes.add_rectangles(rectangle(Box2D(40, 60, 80, 100), Plane(0, 3)))
        settle()
        session.desks.chosen().labels.paint((3, 10, 10), 1)
        session.saving.save(tmp_path / "out.nii.gz")
        settle()
        assert "The case is in out.medsam.json" in state.message
    finally:
        session.close()
    return tmp_path


@pytest.fixture
def case(worked, tmp_path):
    """A copy of that work, to be spoiled."""
    shutil.copytree(worked, tmp_path, dirs_exist_ok=True)
    return tmp_path / "out.medsam.json"


def test_the_labels_are_the_same_bit_for_bit(case, tmp_path, capsys):
    """Also where the image lies elsewhere by now."""
    (tmp_path / "other").mkdir()
    moved = (tmp_path / "ct.nii.gz").rename(tmp_path / "other" / "moved.nii.gz")
    again = tmp_path / "again.nii.gz"
    arguments = ["--case", str(case), str(moved), "-o", str(again), "--compare", "--json"]
    assert main(["segment", *arguments]) == 0
    report = json.loads(capsys.readouterr().out)

    assert [a.kind for a in load_case(case).asked] == ["live", "volume", "live"]
    assert report["compare"]["differ"] == 0
    assert report["compare"]["voxels"] > 1000 and report["compare"]["painted"] > 0
    assert list(report["presets"]) == ["sdpa"]
    np.testing.assert_array_equal(read_labels(again), read_labels(tmp_path / "out.nii.gz"))


def test_another_preset_is_compared_segment_by_segment(case, tmp_path, capsys):
    labels = read_labels(tmp_path / "out.nii.gz")
    labels[0, 0, 0] = 1
    write_labels(tmp_path / "out.nii.gz", labels, read_volume(tmp_path / "ct.nii.gz"))
    assert main(["segment", "--case", str(case), "--preset", "eager", "--compare"]) == 0
    told = capsys.readouterr()

    assert "changed since" in told.err
    assert "3 requests again" in told.out and "with eager on" in told.out
    assert "voxels differ; Dice:" in told.out
    dice = {line.split(":")[0].strip(): float(line.split(":")[1]) for line in _rows(told.out)}
    assert set(dice) == {"ball", "Segment 2"} and min(dice.values()) > 0.9


def _rows(text):
    return [line for line in text.splitlines() if line.startswith("  ")]


def fails(capsys, *arguments):
    """The sentence that is told."""
    assert main(["segment", *map(str, arguments)]) == 1
    error = capsys.readouterr().err.strip()
    assert len(error.splitlines()) == 1
    return error


def test_another_image_is_refused(case, tmp_path, capsys):
    image = read_volume(tmp_path / "ct.nii.gz")
    other = nib.Nifti1Image(np.asarray(image.data).transpose(2, 1, 0) + 1, AFFINE)
    nib.save(other, tmp_path / "ct.nii.gz")

    assert "another image" in fails(capsys, "--case", case, "--compare")


def test_other_weights_are_refused_unless_they_are_named(case, capsys):
    record = load_case(case)
    asked = tuple(replace(a, checkpoint_sha256="f" * 64) for a in record.asked)
    save_case(case, replace(record, segmentation=replace(record.segmentation, asked=asked)))

    assert "other weights" in fails(capsys, "--case", case, "--compare")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "-o FILE"),
        (("-o", "out.nii.gz"), "there already"),
        (("-o", "x.png"), "labels are written as"),
        (("a.nii.gz", "b.nii.gz", "--compare"), "one image"),
    ],
)
def test_what_cannot_be_done_is_told_before_the_work(case, tmp_path, capsys, arguments, told):
    arguments = [str(tmp_path / a) if a == "out.nii.gz" else a for a in arguments]
    assert told in fails(capsys, "--case", case, *arguments)


def test_a_case_without_labels_has_nothing_to_compare(case, tmp_path, capsys):
    (tmp_path / "out.nii.gz").unlink()
    assert main(["segment", "--case", str(case), "--compare"]) == 1
    assert "no labels to compare" in capsys.readouterr().err
