"""What several tests of the session do and look at."""

import threading

import numpy as np
from napari.layers import Labels

from napari_medsam_lite.core.boxes import Box2D

BOX = Box2D(2, 3, 7, 6)
OTHER = Box2D(10, 3, 15, 8)


def labels_of(viewer) -> Labels:
    (layer,) = [layer for layer in viewer.layers if isinstance(layer, Labels)]
    return layer


def has_labels(viewer) -> bool:
    return any(isinstance(layer, Labels) for layer in viewer.layers)


def told_problem(session, words):
    assert session.state.is_problem
    assert words in session.state.message
    assert "\n" not in session.state.message


def start_and_hold(session, segmenter, qtbot, masks):
    """Start a volume run and let it give `masks` masks, no more."""
    segmenter.gate = threading.Semaphore(masks)
    session.run_actions.segment_all()
    qtbot.waitUntil(lambda: session.state.done == masks)


def another_patient(viewer, image, session, seed=7):
    """The image leaves, and another one of its name and shape comes."""
    voxels = np.random.default_rng(seed).integers(-1000, 1000, image.data.shape, np.int16)
    viewer.layers.remove(image)
    other = viewer.add_image(
        voxels,
        name=image.name,
        scale=image.scale,
        translate=image.translate,
        metadata={"medsam_lite": {"affine": "of the other file"}},
    )
    assert session.state.image is other
    return other


def segmented(session, image, viewer, draw, finish):
    draw(BOX)
    viewer.dims.set_current_step(0, 4)
    session.run_actions.segment_slice()
    finish()
    return labels_of(viewer)
