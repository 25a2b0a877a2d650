"""A case is saved with the labels, and all of it is back when it is opened."""

import shutil

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer, Shapes

from napari_medsam_lite.core.boxes import Box2D
from napari_medsam_lite.core.errors import FileFormatError, FileNote, MedSAMLiteError
from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.gui.session.casing import case_of, put_on_desk
from napari_medsam_lite.gui.session.controller import SessionController
from napari_medsam_lite.gui.session.state import SessionState
from napari_medsam_lite.io.casefile import load_case
from napari_medsam_lite.io.formats import read_volume, write_labels
from napari_medsam_lite.io.history import History
from napari_medsam_lite.io.hooks import get_reader

VOXELS = np.random.default_rng(0).integers(-1000, 1000, (8, 20, 30), np.int16)


def write_image(path, voxels=VOXELS):
    import nibabel as nib

    nib.Nifti1Image(voxels.transpose(2, 1, 0), np.diag([-0.8, -0.7, 3, 1])).to_filename(path)
    return path


def add(viewer, path):
    for data, look, kind in get_reader(str(path))(str(path)):
        viewer.add_layer(Layer.create(data, look, kind))


@pytest.fixture
def image(viewer, tmp_path):
    add(viewer, write_image(tmp_path / "ct.nii.gz"))
    return viewer.layers[0]


@pytest.fixture
def worked(session, image, draw, finish):
    """A liver on two slices and across another axis, locked, with a range, painted by hand."""
    draw(Box2D(2, 3, 7, 6), index=3)
    session.segments.rename(1, "liver")
    session.segments.limit(1, 0, 2, 6)
    session.run_actions.segment_volume()
    finish()
    draw(Box2D(1, 10, 3, 15), axis=1, index=9)
    desk = session.desks.chosen()
    desk.labels.data_setitem((np.array([5]), np.array([18]), np.array([28])), 2)
    session.segments.lock(1, True)
    return session


@pytest.fixture
def saved(worked, finish, tmp_path):
    worked.saving.save(tmp_path / "out.nii.gz")
    finish()
    return tmp_path / "out.medsam.json"


@pytest.fixture
def reopened(saved, engine, runner, tmp_path):
    """The case opened in another viewer."""
    viewer = ViewerModel()
    session = SessionController(viewer, SessionState(live=False), engine, runner)
    session.open()
    add(viewer, saved)
    yield session
    session.close()


def test_saved_labels_have_their_case_beside_them(saved):
    case = load_case(saved)

    assert [s.name for s in case.segmentation.segments] == ["liver", ""]
    assert {(b.number, b.axis, b.index) for b in case.boxes} == {(1, 0, 3), (2, 1, 9)}
    assert case.image.path == "ct.nii.gz" and case.labels.path == "out.nii.gz"
    assert [a.kind for a in case.asked] == ["volume"]
    assert case.painted.sum() == 1 and case.painted[5, 18, 28]


def test_what_was_saved_is_back(worked, reopened):
    before, after = worked.desks.chosen(), reopened.desks.chosen()

    assert after.segmentation == before.segmentation
    np.testing.assert_array_equal(after.labels.data, before.labels.data)
    assert after.masks.held(())[5, 18, 28]
    assert (
        case_of(after, reopened.state.settings(0, ""), fingerprint="f").boxes
        == case_of(before, reopened.state.settings(0, ""), fingerprint="f").boxes
    )
    assert reopened.state.segmentation.get(1).locked
    assert [type(layer) for layer in reopened.viewer.layers] == [Image, Labels, Shapes]


def test_work_goes_on_where_it_was_left(reopened, finish, qtbot, tmp_path):
    reopened.segments.lock(1, False)
    reopened.segments.choose(1)
    reopened.run_actions.segment_volume()
    qtbot.waitUntil(lambda: not reopened.state.busy)
    reopened.saving.save(tmp_path / "out.nii.gz")
    qtbot.waitUntil(lambda: not reopened.state.busy)

    assert [a.kind for a in load_case(tmp_path / "out.medsam.json").asked] == ["volume", "volume"]


def test_a_case_of_another_image_is_refused(saved, tmp_path):
    write_image(tmp_path / "ct.nii.gz", VOXELS + 1)

    with pytest.raises(FileFormatError, match="another image"):
        get_reader(str(saved))(str(saved))


def test_a_case_without_its_image_says_which_one_it_needs(saved, tmp_path):
    (tmp_path / "ct.nii.gz").unlink()

    with pytest.raises(FileFormatError, match=r"needs its image, ct\.nii\.gz"):
        get_reader(str(saved))(str(saved))


def test_labels_that_lie_elsewhere_by_now_are_not_taken(saved, tmp_path):
    write_labels(tmp_path / "out.nii.gz", np.ones(VOXELS.shape, np.uint8), Volume(VOXELS))

    with pytest.raises(MedSAMLiteError, match="do not lie on the voxels"):
        get_reader(str(saved))(str(saved))


def test_labels_that_were_painted_elsewhere_since_are_told(saved, tmp_path):
    image = read_volume(tmp_path / "ct.nii.gz")
    write_labels(tmp_path / "out.nii.gz", np.ones(VOXELS.shape, np.uint8), image)

    with pytest.warns(FileNote, match="changed since"):
        layers = get_reader(str(saved))(str(saved))
    assert (layers[1][0] == 1).all()


def test_restoring_is_one_step_that_can_be_taken_back(session, image, draw, finish):
    draw(Box2D(2, 3, 7, 6), index=3)
    session.run_actions.segment_volume()
    finish()
    desk = session.desks.chosen()
    kept = case_of(desk, session.state.settings(0, ""), desk.masks.not_computed(()), "f")
    labels = desk.labels.data.copy()
    session.segments.delete(1)
    assert not desk.labels.data.any()

    put_on_desk(kept, desk, {(): labels}, "what was restored")

    np.testing.assert_array_equal(desk.labels.data, labels)
    assert len(desk.boxes.data) == 1 and desk.segmentation == kept.segmentation
    session.undo_actions.undo()
    assert not desk.labels.data.any() and len(desk.boxes.data) == 0
    session.undo_actions.redo()
    np.testing.assert_array_equal(desk.labels.data, labels)


def test_a_case_of_another_shape_is_not_restored(session, image, draw):
    draw(Box2D(2, 3, 7, 6), index=3)
    session.layers.labels_made(image)
    desk = session.desks.chosen()
    case = case_of(desk, session.state.settings(0, ""), fingerprint="f")
    session.viewer.add_image(np.zeros((4, 20, 30), np.int16), name="other")
    session.state.image = session.viewer.layers["other"]

    with pytest.raises(MedSAMLiteError, match="shape"):
        put_on_desk(case, session.desks.chosen(), {}, "what was restored")


def test_the_history_comes_with_the_case_once(saved, reopened, qtbot, own_state):
    assert len(load_case(saved).history) == 1
    qtbot.waitUntil(lambda: len(reopened.state.history) == 1)
    shutil.rmtree(own_state / "history")  # as on another computer

    add(reopened.viewer, saved)
    reopened.state.image = reopened.viewer.layers[3]

    qtbot.waitUntil(lambda: len(History().entries()) == 1)
    (entry,) = History().entries()
    assert entry.segments == ("liver",) and entry.fingerprint
