import threading
from pathlib import Path

import numpy as np
import pytest
from tests.gui.session.acting import (
    BOX,
    OTHER,
    another_patient,
    labels_of,
    segmented,
    start_and_hold,
    told_problem,
)

from napari_medsam_lite.core.boxes import Box3D
from napari_medsam_lite.core.volume import Source
from napari_medsam_lite.gui.viewer.drawn_boxes import rectangle
from napari_medsam_lite.gui.viewer.geometry import Plane
from napari_medsam_lite.gui.viewer.image_layers import fingerprint_of_image

# --- nothing of one image meets another


@pytest.mark.parametrize("press", ["add_boxes", "segment_slice", "segment_volume"])
def test_layers_of_another_patient_are_not_taken(
    session, image, viewer, draw, finish, answers, press
):
    image.metadata["medsam_lite"] = {"affine": "of the first file"}
    old = segmented(session, image, viewer, draw, finish)
    before = old.data.copy()
    other = another_patient(viewer, image, session)
    getattr(session.run_actions, press)()
    finish()
    (question,) = answers.questions
    assert '"CT boxes" and "CT labels" may have been made on another image' in question
    session.run_actions.add_boxes()
    assert len(answers.questions) == 1, "what was refused is not offered again"
    boxes, labels = session.layers.boxes(other), session.layers.labels(other)
    assert boxes is not None
    assert not len(boxes.data)
    assert labels is not old
    assert labels.metadata["medsam_lite"]["affine"] == "of the other file"
    np.testing.assert_array_equal(old.data, before)


def test_layers_of_another_patient_are_taken_if_the_user_says_so(
    session, image, viewer, draw, finish, answers
):
    old = segmented(session, image, viewer, draw, finish)
    other = another_patient(viewer, image, session)
    answers.yes = True
    session.run_actions.add_boxes()
    assert session.layers.labels(other) is old
    assert old.metadata["medsam_lite"]["affine"] == "of the other file"


def test_the_truth_of_an_image_is_not_painted_on(session, viewer, image, finish):
    mark = {"fingerprint": fingerprint_of_image(image)}
    truth = viewer.add_labels(
        np.zeros(image.data.shape, np.uint8),
        name="CT truth",
        scale=image.scale,
        translate=image.translate,
        metadata={"medsam_lite": mark},
    )
    session.run_actions.add_box(Box3D(2, 3, 4, 6, 9, 12, key=5))
    session.run_actions.segment_all()
    finish()
    assert session.layers.labels(image) is not truth
    assert not truth.data.any()


def test_boxes_that_a_reader_made_are_the_images(session, image, viewer, finish, answers):
    """With the slices that the file names; the range of the dock narrows them."""
    corners = [rectangle(BOX, Plane(0, 4)), rectangle(OTHER, Plane(0, 2))]
    viewer.add_shapes(
        corners,
        name="from a file",
        scale=image.scale,
        translate=image.translate,
        features={"label": [3, 5], "first": [3, 1], "last": [6, 2]},
        metadata={"medsam_lite": {"fingerprint": fingerprint_of_image(image)}},
    )
    session.run_actions.segment_all()
    finish()
    data = labels_of(viewer).data
    assert answers.questions == []
    assert np.flatnonzero((data == 3).any(axis=(1, 2))).tolist() == [3, 4, 5, 6]
    assert np.flatnonzero((data == 5).any(axis=(1, 2))).tolist() == [1, 2]


# --- opening, closing, waiting


def test_closed_in_the_middle_of_a_run_it_can_be_opened_again(
    session, image, viewer, draw, segmenter, qtbot, finish
):
    draw(BOX)
    start_and_hold(session, segmenter, qtbot, 2)
    session.close()
    assert not session.state.busy
    segmenter.gate.release(100)
    session.open()
    session.run_actions.segment_all()
    finish()
    assert session.state.history[0].ending == "finished"
    assert [z for z in range(8) if labels_of(viewer).data[z].any()] == list(range(8))
    viewer.add_image(np.zeros((3, 4, 5)))
    assert len(session.state.images) == 2


def test_a_closed_session_leaves_nothing_on_the_layers(open_session, viewer, image):
    def callbacks():
        emitters = [image.events.name, image.events.data, viewer.dims.events.current_step]
        emitters += [viewer.layers.events.inserted, viewer.layers.selection.events.active]
        return [len(emitter.callbacks) for emitter in emitters]

    before = callbacks()
    session = open_session()
    session.run_actions.add_boxes()
    viewer.layers.remove("CT boxes")
    viewer.layers.remove("CT labels")
    assert callbacks() != before
    session.close()
    assert callbacks() == before


def test_what_is_large_is_let_go_on_close(session, image, engine, draw, finish):
    draw(BOX)
    session.run_actions.segment_all()
    finish()
    assert engine._segmenter is not None
    session.close()
    assert engine._segmenter is engine._last is None


def test_after_a_cancellation_the_next_press_says_what_it_waits_for(
    session, image, draw, segmenter, qtbot, finish
):
    draw(BOX)
    segmenter.loading = threading.Semaphore(0)
    session.run_actions.segment_all()
    assert session.state.message == "Starting..."
    qtbot.waitUntil(lambda: session.state.message == "Compiling, once...")
    session.runs.cancel()
    assert "Cancelled" in session.state.message
    session.run_actions.segment_all()
    assert "Waiting for the last step" in session.state.message
    segmenter.loading.release(100)
    finish()
    assert "Done" in session.state.message


def test_reordered_images_are_offered_in_their_order(session, image, viewer):
    other = viewer.add_image(np.zeros((3, 4, 5)), name="MR")
    viewer.layers.move(0, 2)
    assert session.state.images == (other, image)
    assert session.state.image is image


@pytest.mark.parametrize("value", ["liver", 1.5, -3, float("nan"), None, "2", True])
def test_whatever_the_label_feature_holds(session, image, viewer, draw, finish, value):
    shapes = draw(BOX)
    shapes.features = {"label": [value]}
    session.run_actions.segment_all()
    finish()
    assert not session.state.is_problem
    assert labels_of(viewer).data.max() >= 1


def test_replaced_voxels_take_the_file_with_them(session, image, viewer, draw, finish):
    """Or the labels of the new ones would be saved where the old file says."""
    source = Source(Path("first.nii.gz"), header=(8, 20, 30))
    image.metadata["medsam_lite"] = {"affine": np.eye(4), "spacing": (3, 2, 2), "source": source}
    image.data = image.data + 1
    draw(BOX)
    session.run_actions.segment_all()
    finish()
    held = labels_of(viewer).metadata["medsam_lite"]
    assert set(held) == {"fingerprint", "role"}
    assert session.state.history[0].record.input == "CT"


def test_a_refused_press_does_not_touch_the_labels(
    session, image, viewer, draw, segmenter, qtbot, finish
):
    shapes = draw(BOX, OTHER)
    start_and_hold(session, segmenter, qtbot, 1)
    shapes.features = {"label": [1, 300]}
    session.run_actions.segment_all()
    told_problem(session, "A run is in progress")
    segmenter.gate.release(100)
    finish()
    assert session.state.history[0].ending == "finished"
    assert labels_of(viewer).data.dtype == np.uint8


def test_a_removed_image_is_let_go(session, image, viewer, engine, draw, finish):
    draw(BOX)
    session.run_actions.segment_all()
    finish()
    session.state.read_ahead = False
    assert engine._last is not None
    viewer.layers.remove(image)
    assert engine._last is session.runs._snapshot is None


def test_after_a_run_the_choices_of_now_are_read_ahead(
    session, image, viewer, draw, segmenter, qtbot, finish
):
    viewer.layers.selection.active = draw(BOX)
    viewer.dims.set_current_step(0, 4)
    start_and_hold(session, segmenter, qtbot, 1)
    session.state.preset = "eager"
    segmenter.gate.release(100)
    finish()
    qtbot.waitUntil(lambda: bool(segmenter.encoded))
    assert segmenter.wanted[0] == "eager"


def test_what_a_thread_loads_after_the_session_was_closed_is_not_kept(
    session, image, draw, segmenter, engine, qtbot
):
    draw(BOX)
    segmenter.loading = threading.Semaphore(0)
    session.run_actions.segment_all()
    qtbot.waitUntil(lambda: session.state.message == "Compiling, once...")
    session.close()
    segmenter.loading.release(100)
    qtbot.wait(100)
    assert engine._segmenter is engine._last is None


def test_cancel_cuts_the_encoding_short(session, image, draw, segmenter, qtbot):
    draw(BOX)
    start_and_hold(session, segmenter, qtbot, 1)
    session.runs.cancel()
    assert segmenter.interrupted == 1
    segmenter.gate.release(100)
