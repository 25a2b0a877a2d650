"""Which cases there are, and what is refused before any work."""

import os
from pathlib import Path

import pytest

from napari_medsam_lite.cli.plan import (
    check_outputs,
    for_cluster,
    is_file_name,
    leave_out_finished,
    plan_cases,
)
from napari_medsam_lite.cli.segment import start
from napari_medsam_lite.core.errors import FileFormatError


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ct.nii.gz").write_bytes(b"ct")
    (tmp_path / "cases").mkdir()
    for name in ("a.npz", "b.nii.gz", "._b.nii.gz"):
        (tmp_path / "cases" / name).write_bytes(b"case")
    return tmp_path


def link(path, target):
    try:
        path.symlink_to(target)
    except OSError:
        pytest.skip("no symbolic links here")


def refused(sentence, inputs, output, overlay=None, **options):
    with pytest.raises(FileFormatError, match=sentence):
        check_outputs(plan_cases(inputs, output, overlay, **options))
    assert not Path("out").exists()


def test_a_folder_of_cases(here):
    first, second = plan_cases(["cases"], "out", "pictures")
    assert first.source.name == "a.npz"
    assert second.target == Path("out", "b.nii.gz")
    assert second.overlay == Path("pictures", "b.png")
    assert second.run_file == Path("out", "b.run.json")
    check_outputs([first, second])
    assert not (here / "out").exists()
    assert for_cluster(first).target == here / "out" / "a.npz"


def test_one_file():
    (case,) = plan_cases(["ct.nii.gz"], "liver.npz", "o.png")
    assert [str(p) for p in (case.target, case.run_file, case.overlay)] == [
        "liver.npz", "liver.run.json", "o.png",
    ]  # fmt: skip
    check_outputs([case])


@pytest.mark.parametrize(
    ("output", "is_file"),
    [("x.nii.gz", True), ("X.NPZ", True), ("out", False), ("v1.5" + os.sep, False), (".", False)],
)
def test_files_and_folders(output, is_file):
    assert is_file_name(output) is is_file


def test_a_folder_that_is_there_may_have_any_name(here):
    (here / "v1.5").mkdir()
    assert not is_file_name("v1.5")


@pytest.mark.parametrize("output", ["liver.nrrd", "out/liver.nrrd", "labels.nii.bz2"])
def test_a_kind_of_file_that_is_not_known(output):
    refused(r"written as \.npz, \.nii\.gz, \.nii", ["ct.nii.gz"], output)


@pytest.mark.parametrize(
    ("inputs", "output", "overlay", "sentence"),
    [
        (["cases"], "one.npz", None, "is one file, but there are 2 inputs"),
        (["cases"], "out", "o.png", "is one picture, but there are 2 inputs"),
        (["ct.nii.gz"], "x.npz", "o.jpg", r"end with \.png"),
        (["cases/a.npz", "cases/../cases/a.npz"], "out", None, "Two inputs would be written to"),
        (["ct.nii.gz"], "ct.nii.gz", None, "ct.nii.gz is an input"),
        (["cases"], "cases", None, "a.npz is an input"),
        (["none.nii.gz"], "none.nii.gz", None, "is an input"),
        (["ct.nii.gz"], "ct.nii.gz/x.npz", None, "its folder is not a folder"),
        (["ct.nii.gz"], "x" * 300 + ".npz", None, "its name is too long"),
    ],
)
def test_what_cannot_be(inputs, output, overlay, sentence):
    refused(sentence, inputs, output, overlay, overwrite=True)


@pytest.mark.parametrize("name", ["x.npz", "x.run.json", "o.png"])
def test_nothing_is_overwritten_unasked(here, name):
    (here / name).write_bytes(b"mine")
    refused(f"{name} is there already", ["ct.nii.gz"], "x.npz", "o.png")
    check_outputs(plan_cases(["ct.nii.gz"], "x.npz", "o.png", overwrite=True))
    assert (here / name).read_bytes() == b"mine"


@pytest.mark.parametrize("name", ["x.npz", "x.run.json", "o.png"])
@pytest.mark.parametrize("hard", [True, False])
def test_an_input_under_another_name_is_an_input(here, name, hard):
    if hard:
        os.link("ct.nii.gz", name)
    else:
        link(here / name, "ct.nii.gz")
    refused(f"{name} is an input", ["ct.nii.gz"], "x.npz", "o.png", overwrite=True)


def test_links_that_lead_round_in_a_circle(here):
    link(here / "x.npz", "y.npz")
    link(here / "y.npz", "x.npz")
    refused("round in a circle", ["ct.nii.gz"], "x.npz")


def test_a_folder_that_may_not_be_written(monkeypatch):
    def refuse(self, **_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.touch", refuse)
    refused("permission is denied", ["ct.nii.gz"], "out/x.npz")


def test_finished_cases_are_left_out(here, capsys):
    (here / "out").mkdir()
    (here / "out" / "a.npz").touch()
    (left,) = leave_out_finished(plan_cases(["cases"], "out", None))
    assert left.source.name == "b.nii.gz"
    assert "1 of 2 cases are done already" in capsys.readouterr().err
    assert len(leave_out_finished(plan_cases(["cases"], "out", None, overwrite=True))) == 2


def test_a_worker_that_died_after_the_labels_were_written(here, monkeypatch):
    """What was written is there, and the case is no failure."""
    tried = []

    def dying(runner, cases, workers, again):
        for case in cases:
            case.target.touch()  # then the worker died
            tried.append(again(case))
        return []

    monkeypatch.setattr("napari_medsam_lite.cli.segment.run_in_processes", dying)
    cases = plan_cases(["cases"], "out", None)
    (here / "out").mkdir()
    start(None, cases, 2, None)
    check_outputs(tried)
    assert [case.target for case in tried] == [case.target for case in cases]


def test_leftovers_of_killed_processes_are_removed(here, monkeypatch):
    from napari_medsam_lite.core import files

    monkeypatch.setattr("psutil.pid_exists", lambda number: False)
    (here / "out").mkdir()
    left = files._temporary(here / "out", "a.npz")
    left.touch()
    check_outputs(plan_cases(["cases"], "out", None))
    assert not left.exists()


def test_a_slice_of_the_series_is_an_input(here):
    import shutil

    real = Path(__file__).parents[2].parent / "shared" / "dicom" / "missing_slice_ge"
    if not real.is_dir():
        pytest.skip(f"the real DICOM files are not here ({real})")
    shutil.copytree(real, "ct")
    name = sorted(Path("ct").iterdir())[0]
    refused("is an input", ["ct"], str(name), overwrite=True)
    check_outputs(plan_cases(["ct"], "ct/labels.nii.gz", None))
    (case,) = plan_cases(["ct"], "out", None)
    assert case.target == Path("out/ct.nii.gz")
    (case,) = plan_cases(["ct/.."], "x.nii.gz", None, one_series=True)
    assert case.source == Path("ct/..")
