"""The commands as a user types them, with the real network on a small volume."""

import json
import re
import shlex
import shutil
from dataclasses import replace

import imageio.v3 as iio
import nibabel as nib
import numpy as np
import pytest

from napari_medsam_lite import Box3D, VolumePredictor, read_volume
from napari_medsam_lite.cli import cases, main
from napari_medsam_lite.cli.screen import can_open_window
from napari_medsam_lite.core.agreement import dice
from napari_medsam_lite.core.labelset import class_named
from napari_medsam_lite.core.settings import Settings
from napari_medsam_lite.io.boxes import parse_named_box
from napari_medsam_lite.io.formats import read_label_volume
from napari_medsam_lite.io.runfile import load_run, run_record, save_run
from napari_medsam_lite.model.weights import OFFICIAL_SHA256

AFFINE = np.array([[-0.8, 0, 0, 90], [0, 0.8, 0, -120], [0, 0, 5, 7], [0, 0, 0, 1.0]])
BOX = "38,28,2,92,72,4"


@pytest.fixture(scope="module")
def ball():
    z, y, x = np.ogrid[:6, :180, :200]
    inside = ((z - 3) / 4) ** 2 + ((y - 50) / 20) ** 2 + ((x - 65) / 25) ** 2 < 1
    noise = np.random.default_rng(0).normal(0, 8, inside.shape)
    return (np.where(inside, 60, -90) + noise).astype(np.int16), inside


@pytest.fixture
def nifti(tmp_path, ball):
    path = tmp_path / "ct.nii.gz"
    nib.save(nib.Nifti1Image(ball[0].transpose(2, 1, 0), AFFINE), path)
    return path


@pytest.fixture
def npz(tmp_path, ball):
    path = tmp_path / "cases" / "3DBox_ball.npz"
    path.parent.mkdir()
    eight_bit = np.clip((ball[0] + 160) * 0.6, 0, 255).astype(np.uint8)
    boxes = np.array([[38, 28, 2, 92, 72, 4]])
    np.savez_compressed(path, imgs=eight_bit, boxes=boxes, gts=ball[1], spacing=[5.0, 0.8, 0.8])
    return path


def run(*arguments):
    return main(["segment", *map(str, arguments), "--preset", "sdpa", "--device", "cpu"])


def test_nifti_in_and_out(nifti, tmp_path, ball, capsys):
    out = tmp_path / "labels.nii.gz"
    assert run(nifti, "-o", out, "--box", BOX, "--overlay", tmp_path / "o.png", "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)
    written = nib.load(out)
    labels = np.asarray(written.dataobj).transpose(2, 1, 0)
    np.testing.assert_array_equal(written.affine, nib.load(nifti).affine)
    assert set(np.unique(labels)) == {0, 1}
    assert dice(labels[2:5] == 1, ball[1][2:5]) > 0.85
    assert (tmp_path / "o.png").stat().st_size > 1000
    assert {"read", "encode", "decode", "write", "total"} <= set(row["seconds"])
    assert (row["slices_encoded"], row["boxes_decoded"], row["preset"]) == (3, 9, "sdpa")


def test_a_run_is_in_the_history_and_is_done_again_from_there(nifti, tmp_path, capsys):
    first, again, file = (tmp_path / name for name in ("a.nii.gz", "b.nii.gz", "run.json"))
    montage = tmp_path / "m.png"
    assert run(nifti, "-o", first, "--box", f"liver@{BOX}", "--montage", montage) == 0
    assert iio.imread(montage).shape[1] > 600
    capsys.readouterr()
    assert main(["history", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["image"], row["segments"], row["slices"]) == ("ct", ["liver"], 3)
    assert row["fingerprint"] == read_volume(nifti).fingerprint
    assert main(["history", "--run", row["id"][:6], str(file)]) == 0
    assert main(["segment", str(nifti), "-o", str(again), "--run", str(file)]) == 0
    labels = [np.asarray(nib.load(path).dataobj) for path in (first, again)]
    np.testing.assert_array_equal(*labels)
    assert main(["history", "--picture", row["id"], str(tmp_path / "p.png")]) == 0
    picture = iio.imread(tmp_path / "p.png")
    assert (picture[..., 0] != picture[..., 2]).any()


def test_names_of_boxes_go_into_the_file(nifti, tmp_path):
    out = tmp_path / "labels.seg.nrrd"
    assert run(nifti, "-o", out, "--box", f"Leber, groß@{BOX}", "--box", f"spleen@{BOX}") == 0
    assert read_label_volume(out).classes == (
        class_named(1, "Leber, groß"),
        class_named(2, "spleen"),
    )


def test_npz_in_and_out_of_a_folder(npz, tmp_path, capsys):
    assert run(npz.parent, "-o", tmp_path / "out") == 0
    with np.load(tmp_path / "out" / npz.name) as written:
        assert written["segs"].shape == (6, 180, 200)
        np.testing.assert_allclose(written["spacing"], [5.0, 0.8, 0.8], rtol=1e-6)
    assert "mean Dice" in capsys.readouterr().out


def test_one_bad_file_does_not_stop_the_rest(npz, tmp_path, capsys):
    (npz.parent / "a_bad.npz").write_bytes(b"not a zip")
    assert run(npz.parent, "-o", tmp_path / "out") == 1
    assert (tmp_path / "out" / npz.name).exists()
    assert "a_bad.npz" in capsys.readouterr().err


def test_finished_cases_are_left_alone(npz, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / npz.name).write_bytes(b"mine")
    assert run(npz.parent, "-o", tmp_path / "out") == 1
    assert "already" in capsys.readouterr().err
    (npz.parent / "b_bad.npz").write_bytes(b"not a zip")
    assert run(npz.parent, "-o", tmp_path / "out") == 1
    assert "1 of 2 cases are done already" in capsys.readouterr().err
    assert (tmp_path / "out" / npz.name).read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["none.nii.gz", "-o", "x.nii.gz", "--box", BOX], "does not exist"),
        (["ct.nii.gz", "-o", "x.nii.gz"], "no boxes"),
        (["ct.nii.gz", "-o", "x.nii.gz", "--box", "500,500,0,600,600,3"], "outside"),
        (["ct.nii.gz", "-o", "x.nii.gz", "--box", "5,5,0,5,60,3"], "no area"),
        (
            ["ct.nii.gz", "-o", "x.nii.gz", "--box", "0,0,70,9,5,80", "--axis", "1"],
            r"The box x 0\.\.9, z 70\.\.80 lies outside",
        ),
        (["two\nlines.npz", "-o", "x.npz"], r"^two lines\.npz does not exist\.$"),
        (["ct.nii.gz", "-o", "x.txt", "--box", BOX], r"x\.txt: labels are written as"),
        (["ct.nii.gz", "-o", "ct.nii.gz", "--box", BOX], "is an input"),
        (["ct.nii.gz", "-o", "ct.nii.gz", "--box", BOX, "--overwrite"], "is an input"),
        (["ct.nii.gz", "-o", "x.nii.gz", "--boxes", "none.csv"], "does not exist"),
        (["ct.nii.gz", "-o", "x.nii.gz", "--box", BOX, "--checkpoint", "none.pth"], "checkpoint"),
    ],
)
def test_failures_are_one_sentence(arguments, text, nifti, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.txt").write_text("in the way")
    before = nifti.read_bytes()
    assert run(*arguments) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert re.search(text, error), error
    assert "Traceback" not in error
    assert nifti.read_bytes() == before


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["paint"],
        ["segment", "a.nii.gz"],
        ["segment", "a.nii.gz", "-o", "b.nii.gz", "--box", "1,2,3"],
        ["segment", "a.nii.gz", "-o", "b.nii.gz", "--window", "moon"],
        ["segment", "a.nii.gz", "-o", "b.nii.gz", "--preset", "warp"],
        ["segment", "a.nii.gz", "-o", "b.nii.gz", "--overlap", "middle"],
        ["presets", "--device", "bogus"],
    ],
)
def test_wrong_use_is_status_2(arguments):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        (("--runs", "0"), "'0' is no number of runs, 1 or more."),
        (("--workers", "0"), "'0' is no number of processes, 1 or more."),
        (("--attention-runs", "-1"), "'-1' is no number of runs, 0 or more."),
        (("--device", "bogus"), "'bogus' is no device; choose auto, cpu"),
    ],
)
def test_wrong_use_is_told_in_the_words_of_the_option(option, sentence, capsys):
    with pytest.raises(SystemExit):
        main(["bench", *option])
    assert sentence in capsys.readouterr().err


def test_a_run_file_lies_beside_the_labels_and_does_it_again(nifti, tmp_path, capsys):
    boxes = tmp_path / "boxes.csv"
    boxes.write_text(f"name,x0,y0,z0,x1,y1,z1\nball,{BOX}\n,{BOX}\nball,5,5,2,20,20,4\n")
    assert run(nifti, "-o", tmp_path / "a.nii.gz", "--boxes", boxes, "--window", "liver") == 0
    run_file = tmp_path / "a.run.json"
    assert str(tmp_path) not in run_file.read_text()
    capsys.readouterr()
    out = tmp_path / "again" / "b.nii.gz"
    assert main(["segment", str(nifti), "-o", str(out), "--run", str(run_file), "--json"]) == 0
    assert out.read_bytes() == (tmp_path / "a.nii.gz").read_bytes()
    (row,) = json.loads(capsys.readouterr().out)
    names = [(segment["label"], segment["name"]) for segment in row["segments"]]
    assert names == [(1, "ball"), (2, "")], "boxes of one name are one object's"
    first, again = load_run(run_file), load_run(out.with_name("b.run.json"))
    assert first.settings == again.settings == Settings("liver", 0, "sdpa", "cpu")
    assert (first.boxes, first.names) == (again.boxes, again.names)
    assert row["run"] == str(out.with_name("b.run.json"))


def test_a_run_with_labels_and_voxels_of_its_own_is_done_again(nifti, tmp_path, capsys):
    """As from napari, where the layer's scale may not be the file's voxel size."""
    scaled = replace(read_volume(nifti), spacing=(5.0, 0.8, 1.6))
    box = Box3D(2, 28, 38, 4, 72, 92)
    predictor = VolumePredictor("sdpa", "cpu")
    predictor.set_volume(scaled)
    settings = Settings(preset="sdpa", device="cpu")
    made = run_record(scaled, [box], settings, OFFICIAL_SHA256, names=["ball"], ids=[300])
    save_run(tmp_path / "napari.json", made, scaled.affine)
    first, second = tmp_path / "a.nii.gz", tmp_path / "b.nii.gz"
    assert run(nifti, "-o", first, "--run", tmp_path / "napari.json", "--json") == 0
    out, err = capsys.readouterr()
    (segment,) = json.loads(out)[0]["segments"]
    assert (segment["label"], segment["name"]) == (300, "ball")
    assert [row["slice"] for row in segment["slices"]] == [2, 3, 4]
    assert all(row["source"] == "predicted" and row["score"] > 0.5 for row in segment["slices"])
    assert "voxels are taken as 5 x 0.8 x 1.6 mm" in err
    labels = read_label_volume(first)
    np.testing.assert_array_equal(labels.data, predictor.segment_volume([box], ids=[300]))
    np.testing.assert_array_equal(nib.load(first).affine, nib.load(nifti).affine)
    assert run(nifti, "-o", second, "--run", tmp_path / "a.run.json") == 0
    assert second.read_bytes() == first.read_bytes()
    record = load_run(tmp_path / "b.run.json")
    assert (record.ids, record.spacing, record.ending) == ((300,), (5.0, 0.8, 1.6), "finished")


def test_a_run_on_several_images_leaves_each_its_voxels(npz, tmp_path, capsys):
    shutil.copy(npz, npz.with_name("3DBox_other.npz"))
    assert run(npz, "-o", tmp_path / "a.npz") == 0
    run_file = tmp_path / "a.run.json"
    record = replace(load_run(run_file), spacing=(5.0, 0.8, 1.6))
    save_run(run_file, record, np.eye(4))
    assert run(npz.parent, "-o", tmp_path / "out", "--run", run_file) == 0
    assert "voxels are taken" not in capsys.readouterr().err
    for again in (tmp_path / "out").glob("*.npz"):
        assert again.read_bytes() == (tmp_path / "a.npz").read_bytes()


def test_dice_is_told_by_name(npz, tmp_path, capsys):
    boxes = tmp_path / "boxes.csv"
    boxes.write_text(f"name,x0,y0,z0,x1,y1,z1\nball,{BOX}\n")
    assert run(npz, "-o", tmp_path / "out.npz", "--boxes", boxes, "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert list(row["dice"]) == ["ball"]
    assert load_run(tmp_path / "out.run.json").dice == row["dice"]


def test_truth_as_prompt_has_a_run_file_too(npz, tmp_path, capsys):
    with np.load(npz) as case:
        np.savez_compressed(npz, **{name: case[name][3:4] for name in ("imgs", "gts")})
    assert run(npz, "-o", tmp_path / "a.npz", "--json", "--overlap", "keep") == 0
    used = load_run(tmp_path / "a.run.json").settings
    assert (used.propagation, used.overlap) == ("published", "overwrite")
    (row,) = json.loads(capsys.readouterr().out)
    assert row["segments"] == [{"label": 1, "name": "", "slices": []}]
    assert list(row["dice"]) == ["1"]
    assert run(npz, "-o", tmp_path / "b.npz", "--run", tmp_path / "a.run.json") == 0
    assert (tmp_path / "b.npz").read_bytes() == (tmp_path / "a.npz").read_bytes()


def test_labels_written_meanwhile_are_left_alone(nifti, tmp_path, monkeypatch, capsys):
    out = tmp_path / "x.nii.gz"
    read = cases.read_case

    def read_slowly(*path_and_more):
        out.write_bytes(b"of another writer")
        return read(*path_and_more)

    monkeypatch.setattr(cases, "read_case", read_slowly)
    assert run(nifti, "-o", out, "--box", BOX) == 1
    assert "is there already" in capsys.readouterr().err
    assert out.read_bytes() == b"of another writer"
    assert not (tmp_path / "x.run.json").exists()


def test_debug_shows_the_traceback(tmp_path):
    with pytest.raises(Exception, match="does not exist"):
        run(tmp_path / "none.npz", "-o", tmp_path / "x.npz", "--debug")


@pytest.mark.parametrize("command", ["demo", "segment", "convert", "presets", "weights", "doctor"])
def test_help_has_an_example(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    assert f"Example: medsam-lite {command}" in capsys.readouterr().out


def test_help_of_segment_shows_key_boxes_as_they_are_typed(capsys):
    with pytest.raises(SystemExit):
        main(["segment", "--help"])
    last = capsys.readouterr().out.rpartition("key box on three slices:")[2]
    boxes = [parse_named_box(word) for word in shlex.split(last) if "@" in word]
    assert [(name, box.z0, box.z1) for name, box in boxes] == [
        ("kidney", 20, 20),
        ("kidney", 30, 30),
        ("kidney", 42, 42),
    ]


@pytest.fixture
def caches(tmp_path, monkeypatch):
    """Nothing measured yet, and nothing that stays."""
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda *_, **__: str(tmp_path / "cache"))


def test_presets_before_they_are_measured(capsys, caches):
    assert main(["presets", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["eager"]["unavailable"] is None
    assert rows["eager"]["seconds_a_slice"] is None
    assert rows["sparse-2-4"]["unavailable"] or rows["cuda-max"]["unavailable"] is None
    assert sum(row["auto"] for row in rows.values()) == 1
    assert main(["presets"]) == 0
    assert "the published" in capsys.readouterr().out


@pytest.fixture
def no_bfloat16(monkeypatch):
    """A processor without bfloat16 units, and no GPU."""
    from napari_medsam_lite.acceleration import emulated as module

    monkeypatch.setattr(module, "has_units", lambda units: units != "bfloat16")
    monkeypatch.setattr(module, "no_cuda", lambda: "there is none")
    return "this processor has no bfloat16 units and only emulates them."


def test_presets_tell_what_is_emulated(capsys, caches, no_bfloat16):
    assert main(["presets", "--json", "--device", "cpu"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["bf16"]["unavailable"] is None
    assert no_bfloat16 in rows["bf16"]["warning"]
    assert rows["openvino"]["warning"] is None
    assert main(["presets", "--device", "cpu"]) == 0
    assert "emulates" in capsys.readouterr().out


def test_doctor_tells_what_is_emulated(capsys, no_display, no_bfloat16):
    assert main(["doctor", "--json"]) == 0
    presets = json.loads(capsys.readouterr().out)["presets"]
    assert no_bfloat16 in presets["bf16"]
    assert presets["eager"] == "available"
    assert "GPU" in presets["cuda-max"], "that it cannot run at all counts more"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--preset", "bf16", "--device", "cpu"], True),
        (["--preset", "bf16", "--device", "cpu", "--scheduler", "tcp://elsewhere:1"], False),
        (["--preset", "cuda-max", "--device", "cpu"], False),
        (["--preset", "openvino"], False),
        ([], False),
    ],
    ids=["named", "elsewhere", "cannot run", "another", "auto"],
)
def test_segment_tells_that_the_preset_is_emulated(
    tmp_path, monkeypatch, capsys, no_bfloat16, options, told
):
    from napari_medsam_lite.cli import segment

    np.savez(tmp_path / "case.npz", imgs=np.zeros((2, 8, 8), np.uint8))
    monkeypatch.setattr(segment, "start", lambda *_: [])
    case = [str(tmp_path / "case.npz"), "-o", str(tmp_path / "out.npz"), "--box", "1,1,0,5,5,1"]
    assert main(["segment", *case, *options]) == 0
    assert (no_bfloat16 in capsys.readouterr().err) == told


def test_presets_when_measured(capsys, caches, monkeypatch):
    from napari_medsam_lite.acceleration.tuning import compare as tuning

    # As on a processor that has units for all of them.
    monkeypatch.setattr("napari_medsam_lite.acceleration.emulated.has_units", lambda _: True)

    figures = {"encode": 0.5, "decode": 0.05, "load": 1.0, "memory": 2**20, "device": "cpu"}

    def measured(job, file):
        yield "measuring"
        masks = np.ones((16, 4, 4), bool)
        masks[:, :2] = job.preset != "bf16"
        np.save(job.answer, masks)
        if job.preset == "nested":
            return {**figures, "encode": 3.0, "decode": 0.0}
        return {**figures, "encode": 0.01} if job.preset == "sdpa" else figures

    monkeypatch.setattr(tuning, "_in_own_process", measured)
    assert main(["presets", "--calibrate", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["sdpa"]["auto"]
    assert rows["sdpa"]["seconds_a_slice"] == 0.01
    assert rows["eager"]["agreement"] == 1
    assert rows["eager"]["warning"] is None
    assert "bf16" in rows["bf16"]["warning"]
    nested = rows["nested"]
    assert (nested["seconds_a_slice"], nested["seconds_a_box"]) == (3.0, None)
    assert nested["warning"] == "Stopped: a slice takes 300.0 x as long as with sdpa."
    assert rows["compile"]["seconds_a_slice"] is None
    assert rows["compile"]["unavailable"] or "--build" in rows["compile"]["warning"]
    for name in ("eager", "sdpa", "bf16", "openvino"):
        assert rows[name]["seconds_a_box"] == 0.05
        assert rows[name]["seconds_to_start"] == 1.0
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["presets"]) == 0
    assert "available; it was ready in 1.0 s" in " ".join(capsys.readouterr().out.split())
    assert main(["presets", "--build", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["compile"]["unavailable"] or rows["compile"]["seconds_a_slice"] == 0.5


def test_weights(capsys):
    assert main(["weights", "--verify", "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["official"]
    assert row["tensors"] == 435
    assert main(["weights"]) == 0
    assert row["sha256"] in capsys.readouterr().out


@pytest.fixture
def no_display(monkeypatch):
    """As on a server, whatever the tests run on."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("QT_QPA_PLATFORM", "no such platform")


def test_demo_without_a_display(no_display, capsys):
    assert main(["demo"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "No window can be opened here" in line
    assert "--headless" in line


def test_doctor_asks_a_display_for_opengl(capsys, qapp):
    """Of the virtual screen that the tests have; it had never been asked."""
    if not can_open_window():
        pytest.skip("there is no display")
    assert main(["doctor", "--json"]) == 0
    screen = json.loads(capsys.readouterr().out)["screen"]
    assert " on " in screen["qt"]
    assert "textures up to" in screen["opengl"] or "does not work" in screen["opengl"]


def test_doctor(capsys, no_display):
    assert main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["checkpoint"] == "official"
    assert report["presets"]["sdpa"] == "available"
    assert report["packages"]["torch"] != "not installed"
