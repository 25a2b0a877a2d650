import numpy as np
import pytest
from napari.layers import Labels
from tests.gui.session.acting import (
    BOX,
    OTHER,
    has_labels,
    labels_of,
    segmented,
    start_and_hold,
    told_problem,
)

from napari_medsam_lite.core.volume import Volume
from napari_medsam_lite.engine.look import Look
from napari_medsam_lite.engine.prepared import prepare_volume

# --- the run itself


def test_the_last_mask_and_the_end_are_one_redraw(
    session, image, viewer, draw, finish, monkeypatch
):
    labels = segmented(session, image, viewer, draw, finish)
    session.undo_actions.undo()
    redraws, refresh = [], Labels.refresh
    monkeypatch.setattr(
        Labels, "refresh", lambda *args, **how: (redraws.append(1), refresh(*args, **how))
    )
    session.run_actions.segment_slice()
    finish()
    assert labels.data.any()
    assert len(redraws) == 1


def test_choices_reach_the_engine_and_what_is_in_use_is_told(
    session, image, draw, finish, segmenter
):
    draw(BOX)
    session.state.preset, session.state.window = "eager", "liver"
    session.run_actions.segment_all()
    finish()
    assert segmenter.wanted == ("eager", "auto")
    liver = prepare_volume(Volume(image.data), "liver")
    assert segmenter.prepared[-1].limits == liver.limits
    assert session.state.in_use == "In use: eager on a fake CPU."
    session.state.window = "auto"
    session.run_actions.segment_all()
    finish()
    assert segmenter.prepared[-1].limits == prepare_volume(Volume(image.data)).limits


def test_window_as_shown_is_the_contrast_when_a_run_starts(session, image, draw, finish, segmenter):
    session.state.window = "as shown"
    image.contrast_limits = (-160, 240)
    draw(BOX)
    session.run_actions.segment_all()
    image.contrast_limits = (-1000, 1000)
    finish()
    limits = segmenter.prepared[-1].limits
    assert (limits.low, limits.high) == (-160, 240)


def test_the_notice_on_the_checkpoint_is_shown(session, image, draw, finish, segmenter):
    segmenter.notice = "The checkpoint is not the official one."
    draw(BOX)
    session.run_actions.segment_all()
    finish()
    assert "not the official one" in session.state.in_use


def test_the_volume_is_read_once_and_again_after_a_change(
    session, image, draw, finish, segmenter, answers
):
    session.state.read_ahead, answers.yes = False, True
    draw(BOX)
    for _ in range(2):
        session.run_actions.segment_all()
        finish()
    assert segmenter.prepared[0] is segmenter.prepared[1]
    image.data = image.data + 1
    session.run_actions.segment_all()
    finish()
    assert segmenter.prepared[2].volume is not segmenter.prepared[0].volume
    np.testing.assert_array_equal(segmenter.prepared[2].volume.data, image.data)


def test_history_has_the_latest_run_first(session, image, viewer, draw, finish):
    draw(BOX, OTHER)
    viewer.dims.set_current_step(0, 4)
    session.run_actions.segment_slice()
    finish()
    session.run_actions.segment_all()
    finish()
    volume, one = session.state.history
    assert (one.kind, one.image, one.boxes, one.slices, one.preset) == ("slice", "CT", 2, 1, "sdpa")
    assert (volume.kind, volume.boxes, volume.slices, volume.ending) == ("volume", 2, 8, "finished")
    assert 0 < volume.seconds < 60


def test_slices_appear_while_it_runs_and_cancel_keeps_them(
    session, image, viewer, draw, segmenter, qtbot
):
    draw(BOX)
    start_and_hold(session, segmenter, qtbot, 3)
    data = labels_of(viewer).data
    assert [z for z in range(8) if data[z].any()] == [4, 5, 6]
    assert session.state.busy
    assert session.state.total == 8
    session.runs.cancel()
    assert not session.state.busy
    segmenter.gate.release(100)
    qtbot.wait(300)
    assert [z for z in range(8) if data[z].any()] == [4, 5, 6]
    assert session.state.message == "Cancelled: 3 slices kept; Continue goes on from there."
    assert session.state.history[0].ending == "cancelled"
    session.undo_actions.undo()
    assert not data.any()


def test_a_second_run_is_refused_while_one_is_in_flight(
    session, image, draw, segmenter, qtbot, finish
):
    draw(BOX)
    start_and_hold(session, segmenter, qtbot, 1)
    session.run_actions.segment_all()
    told_problem(session, "A run is in progress")
    segmenter.gate.release(100)
    finish()
    assert len(session.state.history) == 1
    assert session.state.done == 8


@pytest.mark.parametrize("which", ["labels", "image"])
def test_removing_a_layer_stops_the_run(session, image, viewer, draw, segmenter, qtbot, which):
    draw(BOX)
    start_and_hold(session, segmenter, qtbot, 2)
    gone = labels_of(viewer) if which == "labels" else image
    viewer.layers.remove(gone)
    told_problem(session, f"{gone.name} was removed, so the run was stopped.")
    assert not session.state.busy
    segmenter.gate.release(100)
    qtbot.wait(300)
    assert has_labels(viewer) == (which == "image")


def test_a_new_labels_layer_is_made_after_removal_with_the_same_label(
    session, image, viewer, draw, finish
):
    draw(BOX)
    viewer.dims.set_current_step(0, 4)
    session.run_actions.segment_slice()
    finish()
    viewer.layers.remove(labels_of(viewer))
    assert session.state.undoable == 0
    session.run_actions.segment_slice()
    finish()
    assert (labels_of(viewer).data[4, 2:8, 3:7] == 1).all()


def test_renaming_layers_during_a_run_does_no_harm(
    session, image, viewer, draw, segmenter, qtbot, finish
):
    draw(BOX)
    start_and_hold(session, segmenter, qtbot, 2)
    labels = labels_of(viewer)
    image.name, labels.name, viewer.layers[-1].name = "a", "b", "c"
    segmenter.gate.release(100)
    finish()
    assert all(labels.data[z].any() for z in range(8))
    session.run_actions.segment_all()
    finish()
    assert len(viewer.layers) == 3


def test_an_unavailable_device_is_told(session, image, draw, finish):
    draw(BOX)
    session.state.device = "cuda"
    session.run_actions.segment_all()
    finish()
    told_problem(session, "'cuda' is not available here")
    assert session.state.history[0].ending == "failed"
    session.state.device = "auto"
    session.run_actions.segment_all()
    finish()
    assert not session.state.is_problem


# --- images and labels that change under a run


@pytest.mark.parametrize("shape", [(8, 20, 30), (5, 9, 11)])
def test_replaced_voxels_stop_the_run(
    session, image, viewer, draw, segmenter, qtbot, shape, caplog
):
    draw(BOX)
    start_and_hold(session, segmenter, qtbot, 2)
    old = labels_of(viewer)
    image.data = np.ones(shape, np.int16)
    told_problem(session, "The voxels of CT were replaced, so the run was stopped.")
    assert [each for each in caplog.records if each.exc_info] == []
    assert not session.state.busy
    segmenter.gate.release(100)
    qtbot.wait(150)
    assert [z for z in range(8) if old.data[z].any()] == [4, 5]
    assert session.state.history[0].ending == "cancelled"


def test_an_image_of_another_shape_gets_labels_of_its_own(session, image, viewer, draw, finish):
    old = segmented(session, image, viewer, draw, finish)
    before = old.data.copy()
    image.data = np.zeros((5, 40, 50), np.int16)
    session.run_actions.add_boxes()
    labels = session.layers.labels(image)
    assert labels.data.shape == (5, 40, 50)
    session.state.z_to = 4
    draw(BOX, index=3)
    session.run_actions.segment_all()
    finish()
    assert labels.data.any()
    np.testing.assert_array_equal(old.data, before)


def test_labels_that_cannot_be_written_are_left_alone(session, image, viewer, draw, finish):
    old = segmented(session, image, viewer, draw, finish)
    frozen = old.data.copy()
    frozen.flags.writeable = False
    old.data = frozen
    session.run_actions.segment_all()
    finish()
    assert not session.state.is_problem
    assert session.layers.labels(image) is not old


def test_labels_replaced_during_a_run_stop_it(session, image, viewer, draw, segmenter, qtbot):
    draw(BOX)
    start_and_hold(session, segmenter, qtbot, 2)
    labels = labels_of(viewer)
    labels.data = np.zeros((3, 4, 5), np.uint8)
    segmenter.gate.release(100)
    qtbot.waitUntil(lambda: not session.state.busy)
    told_problem(session, "The labels of CT labels were replaced")
    session.undo_actions.undo()
    assert not labels.data.any()


def test_an_edit_in_place_reaches_the_engine(session, image, draw, finish, segmenter):
    session.state.read_ahead = False
    draw(BOX)
    hashes = []
    for _ in range(2):
        session.run_actions.segment_all()
        finish()
        hashes.append(segmenter.prepared[-1].hash_look(Look.whole(4, segmenter.prepared[-1].frame)))
        image.data[4] += 1
        image.refresh()
    assert hashes[0] != hashes[1]


def test_what_decides_a_run_is_taken_when_it_starts(
    session, image, viewer, draw, finish, segmenter, qtbot
):
    draw(BOX)
    labels = session.layers.labels_made(image)
    labels.data[4:6, 5, 5] = 9
    session.state.overlap = "keep"
    start_and_hold(session, segmenter, qtbot, 1)
    session.state.overlap = "overwrite"
    image.name = "renamed"
    segmenter.gate.release(100)
    finish()
    assert labels.data[4:6, 5, 5].tolist() == [9, 9]
    assert session.state.history[0].image == "CT"
    session.run_actions.segment_all()
    finish()
    assert session.state.history[0].image == "renamed"
