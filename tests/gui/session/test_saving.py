import threading
from pathlib import Path

import numpy as np
import pytest
from napari.layers import Layer

from napari_medsam_lite.core.boxes import Box2D
from napari_medsam_lite.core.case import Case
from napari_medsam_lite.core.errors import MedSAMLiteError
from napari_medsam_lite.core.label_volume import LabelVolume
from napari_medsam_lite.core.labelset import Code, LabelClass
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.gui.thread.worker import THREAD_NAME
from napari_medsam_lite.io import formats, hooks
from napari_medsam_lite.io.formats import read_label_volume

VOXELS = np.random.default_rng(0).integers(-1000, 1000, (5, 20, 30), np.int16)
FOUND = "read again and found the same."


@pytest.fixture
def segmented(session, segmenter, image, draw, finish):
    """A liver and a segment without a name, on slice 3."""
    draw(Box2D(2, 3, 7, 6), Box2D(10, 12, 15, 20), index=3)
    session.segments.rename(1, "liver")
    session.run_actions.segment_slice()
    finish()

    return session


def test_nothing_is_saved_before_anything_is_outlined(session, image, tmp_path):
    with pytest.raises(MedSAMLiteError, match="nothing to save"):
        session.saving.suggestion()
    with pytest.raises(MedSAMLiteError, match="nothing to save"):
        session.saving.save(tmp_path / "l.nii.gz")


def test_labels_are_saved_with_names_colours_and_codes_where_they_are(segmented, finish, tmp_path):
    path = tmp_path / "l.nii.gz"
    segmented.saving.save(path)
    assert segmented.state.busy
    finish()
    assert f"Saved as l.nii.gz, {FOUND}" in segmented.state.message
    assert not segmented.state.is_problem
    found = read_label_volume(path)
    labels = segmented.desks.chosen().labels
    np.testing.assert_array_equal(found.data, labels.data)
    assert [(c.number, c.name) for c in found.classes] == [(1, "liver"), (2, "Segment 2")]
    assert [c.code and c.code.value for c in found.classes] == ["10200004", None]
    z, y, x = labels.data_to_world((1, 2, 3))
    np.testing.assert_allclose((found.affine @ (1, 2, 3, 1))[:3], (z, -y, -x), atol=1e-4)


def test_where_nobody_knows_how_the_patient_lies_it_is_told(segmented, finish, tmp_path):
    segmented.saving.save(tmp_path / "l.nii.gz")
    finish()
    assert "does not tell which way the patient lies" in segmented.state.message


def test_an_image_read_here_is_saved_with_the_geometry_of_its_file(
    session, viewer, finish, tmp_path
):
    affine = np.diag([3.0, -0.8, -0.7, 1])
    affine[1, 2] = 0.1
    (layer,) = hooks.case_layers(Case(Volume(VOXELS, (3, 0.8, 0.7), affine, "aslant")))
    image = viewer.add_layer(Layer.create(*layer))
    session.layers.labels_made(image).data[2, 3:7, 2:5] = 1
    session.saving.save(tmp_path / "l.seg.nrrd")
    finish()
    assert session.state.message == f"Saved as l.seg.nrrd, {FOUND} The case is in l.medsam.json."
    np.testing.assert_allclose(read_label_volume(tmp_path / "l.seg.nrrd").affine, affine)


def test_labels_from_a_file_are_offered_and_saved_again_with_their_codes(
    session, image, viewer, finish, tmp_path, answers
):
    """As in a new viewer: the image again, and the labels that were saved of it."""
    code = Code("SCT", "0", "mine")
    labels = LabelVolume(
        np.ones((8, 20, 30), np.uint8), (3, 0.8, 0.8), name="liver",
        affine=np.array([[3.0, 0, 0, 5], [0, -0.8, 0, 7], [0, 0, -0.8, -11], [0, 0, 0, 1]]),
        classes=(LabelClass(1, "mine", (1, 2, 3), code),),
    )  # fmt: skip
    viewer.add_layer(Layer.create(*hooks.labels_layer(labels)))
    with pytest.raises(MedSAMLiteError, match="nothing to save"):
        session.saving.suggestion()
    (question,) = answers.questions
    assert '"liver" may have been made on another image' in question
    viewer.layers.remove("liver")
    answers.yes = True
    viewer.add_layer(Layer.create(*hooks.labels_layer(labels)))
    session.saving.save(tmp_path / "l.seg.nrrd")
    finish()
    assert read_label_volume(tmp_path / "l.seg.nrrd").classes == labels.classes


def test_a_file_for_each_segment(segmented, finish, tmp_path, answers):
    segmented.saving.save(tmp_path / "l.nii.gz", each=True)
    finish()
    names = ["l-1-liver.nii.gz", "l-2-Segment_2.nii.gz"]
    assert segmented.state.message.startswith(f"Saved as {', '.join(names)}, each {FOUND}")
    for number, name in enumerate(names, start=1):
        assert np.unique(read_label_volume(tmp_path / name).data).tolist() == [0, number]
    assert not answers.questions
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    segmented.saving.save(tmp_path / "l.nii.gz", each=True)
    assert answers.questions == [f"{', '.join(names)}: there already. Replace?"]
    assert not segmented.state.busy, "the answer was no"
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_what_is_painted_while_the_file_is_written_is_not_in_it(
    segmented, finish, tmp_path, monkeypatch
):
    labels = segmented.desks.chosen().labels
    before, write = labels.data.copy(), formats.write_labels
    gate = threading.Event()

    def slowly(*args, **kwargs):
        assert threading.current_thread().name == THREAD_NAME
        assert gate.wait(20)
        write(*args, **kwargs)

    monkeypatch.setattr(formats, "write_labels", slowly)
    segmented.saving.save(tmp_path / "l.nii.gz")
    labels.data[:] = 2
    gate.set()
    finish()
    np.testing.assert_array_equal(read_label_volume(tmp_path / "l.nii.gz").data, before)


@pytest.fixture
def held(monkeypatch):
    """Saving waits before the file takes its name; returns what is to be set for it to go on."""
    reached, gate, check = threading.Event(), threading.Event(), formats.check_written

    def wait(*args, **kwargs):
        reached.set()
        assert gate.wait(20)
        check(*args, **kwargs)

    monkeypatch.setattr(formats, "check_written", wait)
    yield reached, gate
    gate.set()


def test_cancelled_nothing_is_written(segmented, held, qtbot, tmp_path):
    reached, gate = held
    (tmp_path / "l.nii.gz").write_bytes(b"old")
    segmented.saving.save(tmp_path / "l.nii.gz")
    assert reached.wait(20)
    segmented.runs.cancel()
    assert segmented.state.message == "Cancelled: nothing was saved."
    gate.set()
    qtbot.waitUntil(lambda: not segmented.runner.settling)
    qtbot.waitUntil(lambda: [p.name for p in tmp_path.iterdir()] == ["l.nii.gz"])
    assert (tmp_path / "l.nii.gz").read_bytes() == b"old"


def test_a_dock_that_is_closed_meanwhile_loses_nothing(segmented, held, qtbot, tmp_path):
    reached, gate = held
    segmented.saving.save(tmp_path / "l.nii.gz")
    assert reached.wait(20)
    segmented.close()
    gate.set()
    qtbot.waitUntil((tmp_path / "l.nii.gz").exists)


def test_a_failure_is_one_sentence(segmented, finish, tmp_path):
    segmented.saving.save(tmp_path / "no" / "l.nii.gz")
    finish()
    assert segmented.state.is_problem
    assert "its folder does not exist; create it first" in segmented.state.message
    segmented.saving.save(tmp_path / "l.dcm")
    finish()
    assert "refers to the DICOM images" in segmented.state.message
    assert not list(tmp_path.iterdir())


def test_saved_once_it_is_suggested_again(segmented, finish, tmp_path):
    assert segmented.saving.suggestion() == Path.home() / "CT labels.nii.gz"
    segmented.state.image.name = "a/b: c"
    assert segmented.saving.suggestion().name == "a_b_ c labels.nii.gz"
    segmented.saving.save(tmp_path / "l.seg.nrrd")
    finish()
    assert segmented.saving.suggestion() == tmp_path / "l.seg.nrrd"


def test_of_an_image_over_time_the_volume_shown_is_saved(session, viewer, finish, tmp_path):
    film = viewer.add_image(np.zeros((3, 5, 20, 30), np.int16), scale=(1, 3, 0.8, 0.8))
    viewer.dims.set_point(0, 2)
    session.state.image = film
    labels = session.layers.labels_made(film)
    labels.data[2, 4, 3:7, 2:5] = 1
    labels.data[1] = 7
    session.saving.save(tmp_path / "l.nii")
    finish()
    np.testing.assert_array_equal(read_label_volume(tmp_path / "l.nii").data, labels.data[2])
