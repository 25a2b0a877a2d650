"""Images that are not in memory, or of many scales, in a session."""

import numpy as np
import pytest

from napari_medsam_lite.core.boxes import Box2D
from napari_medsam_lite.gui.viewer.drawn_boxes import rectangle
from napari_medsam_lite.gui.viewer.geometry import Plane

DATA = np.random.default_rng(0).integers(-1000, 1000, (40, 20, 30), np.int16)


@pytest.fixture
def reads():
    return []


@pytest.fixture
def lazy(reads):
    dask = pytest.importorskip("dask.array")
    return dask.from_array(DATA, chunks=(1, 20, 30)).map_blocks(
        lambda block: reads.append(1) or block, dtype=DATA.dtype, meta=DATA[:0]
    )


@pytest.mark.parametrize("multiscale", [False, True])
def test_a_slice_of_a_lazy_image_is_segmented_without_reading_all(
    session, viewer, finish, segmenter, lazy, reads, multiscale
):
    levels = [lazy, lazy[:, ::2, ::2]] if multiscale else lazy
    viewer.add_image(levels, name="CT", multiscale=multiscale, contrast_limits=(-160, 240))
    session.state.window = "abdomen"
    viewer.dims.set_current_step(0, 7)
    session.run_actions.add_boxes()
    session.layers.boxes_made(session.state.image).add_rectangles(
        rectangle(Box2D(5, 6, 12, 14), Plane(0, 7))
    )
    reads.clear()
    session.run_actions.segment_slice()
    finish()
    assert not session.state.is_problem, session.state.message
    (prepared,) = segmenter.prepared
    assert prepared.volume.is_lazy and prepared.volume.shape == DATA.shape
    assert len(reads) <= 4, "three slices tell which image it is"
    np.testing.assert_array_equal(prepared.volume.slices(0, [7])[0], DATA[7])
    labels = session.layers.labels(session.state.image)
    assert labels.data.shape == DATA.shape
    assert np.count_nonzero(labels.data) == 8 * 9 == np.count_nonzero(labels.data[7])
